// Files and folders that are dropped on a page, or chosen: sent together with their paths, with progress. The page
// may be renewed meanwhile, so everything is looked up from the event.
(() => {
  const MOST = 1000;
  const formOf = (event) => event.target.closest?.("[data-drop]");

  // The files below a dropped entry, each with its path. A folder is read in parts, until one is empty.
  const below = async (entry, path = "") => {
    const here = path + entry.name;
    if (entry.isFile) return [[here, await new Promise((done, failed) => entry.file(done, failed))]];
    const reader = entry.createReader();
    const found = [];
    for (;;) {
      const part = await new Promise((done, failed) => reader.readEntries(done, failed));
      if (!part.length) return found;
      for (const one of part) found.push(...await below(one, `${here}/`));
    }
  };

  const send = (form, files) => {
    const status = form.querySelector("[data-drop-status]");
    if (files.length > MOST) {
      status.textContent = `These are ${files.length} files, and at most ${MOST} go up together. Drop a zip archive of them.`;
      return;
    }
    const data = new FormData();
    for (const field of form.querySelectorAll("input[type=hidden]")) data.append(field.name, field.value);
    data.append("paths", JSON.stringify(files.map(([path]) => path)));
    for (const [, file] of files) data.append("files", file, file.name);
    const bar = form.querySelector("progress");
    bar.hidden = false;
    const request = new XMLHttpRequest();
    request.upload.onprogress = (event) => {
      if (event.lengthComputable) bar.value = event.loaded / event.total;
      status.textContent = event.loaded < event.total ? `Uploading ${files.length} files…` : "Making the commit…";
    };
    request.onload = () => {
      let answer = {};
      try { answer = JSON.parse(request.responseText); } catch { /* a page */ }
      if (answer.next) { location.assign(answer.next); return; }
      bar.hidden = true;
      status.textContent = answer.error || `The server refused it (${request.status}). Nothing was uploaded.`;
    };
    request.onerror = () => {
      bar.hidden = true;
      status.textContent = "The connection broke. Nothing was uploaded: try again.";
    };
    request.open("POST", form.action);
    request.setRequestHeader("Accept", "application/json");
    request.send(data);
  };

  document.addEventListener("change", (event) => {
    const form = formOf(event);
    if (!form || event.target.type !== "file") return;
    const files = [...event.target.files].map((file) => [file.webkitRelativePath || file.name, file]);
    if (files.length) send(form, files);
    event.target.value = "";
  });
  const over = (event, is) => {
    const form = formOf(event);
    if (!form) return;
    event.preventDefault();
    form.classList.toggle("over", is);
  };
  document.addEventListener("dragover", (event) => over(event, true));
  document.addEventListener("dragleave", (event) => over(event, false));
  document.addEventListener("drop", async (event) => {
    const form = formOf(event);
    if (!form) return;
    over(event, false);
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry()).filter(Boolean);
    const files = (await Promise.all(entries.map((entry) => below(entry)))).flat();
    if (files.length) send(form, files);
  });

  const showFolders = () => document.querySelectorAll("[data-drop-folder]").forEach((label) => { label.hidden = false; });
  document.addEventListener("htmx:afterSettle", showFolders);
  showFolders();
})();
