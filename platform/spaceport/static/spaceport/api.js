// The snippets of "Use via API", made of the app's own description of its functions.
(() => {
  const box = document.querySelector("details[data-api-info]");
  if (!box) return;
  const [python, curl] = ["api-python", "api-curl"].map((id) => document.getElementById(id));
  const choice = box.querySelector("select");
  const plain = [python.textContent, curl.textContent];
  let named = {};

  const isFile = (value) => value?.meta?._type === "gradio.FileData";
  const literal = (value) => {
    if (value === null || value === undefined) return "None";
    if (typeof value === "boolean") return value ? "True" : "False";
    if (isFile(value)) return `handle_file(${JSON.stringify(value.url ?? value.path)})`;
    if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
    if (typeof value !== "object") return JSON.stringify(value);
    return `{${Object.entries(value).map(([key, one]) => `${JSON.stringify(key)}: ${literal(one)}`).join(", ")}}`;
  };
  const example = (p) => (p.parameter_has_default ? p.parameter_default : p.example_input) ?? null;

  const show = () => {
    const { parameters } = named[choice.value];
    const lines = parameters.map((p) => `    ${p.parameter_name}=${literal(example(p))},\n`);
    const call = `print(client.predict(\n${lines.join("")}    api_name=${JSON.stringify(choice.value)},\n))`;
    // A function as the replacement: in a string, `$` would have a meaning.
    python.textContent = plain[0].replace(/print\(.*\)$/s, () => call);
    if (call.includes("handle_file(")) python.textContent = python.textContent.replace("import Client", "import Client, handle_file");
    // Within the shell's single quotes.
    const data = JSON.stringify({ data: parameters.map(example) }).replaceAll("'", "'\\''");
    curl.textContent = plain[1]
      .replace(/\{"data": .*\}(?=' \\)/, () => data)
      .replaceAll(/(\/call)\/[^\s/]+/g, (_, call) => call + choice.value);
  };

  box.addEventListener("toggle", async () => {
    if (!box.open || choice.options.length) return;
    const answer = await fetch(box.dataset.apiInfo).catch(() => null);
    if (!answer?.ok) return; // it does not run, or is closed: the snippets stay examples
    named = (await answer.json()).named_endpoints ?? {};
    for (const name of Object.keys(named)) choice.add(new Option(name));
    if (!choice.options.length) return;
    choice.closest(".field").hidden = false;
    show();
  });
  choice.addEventListener("change", show);
})();
