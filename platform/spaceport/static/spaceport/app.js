// Small helpers for every page: copy buttons, questions before harm and before unsaved changes are lost, typed
// confirmation, and a message when the server fails.
(() => {
  const notify = (text) => {
    const place = document.getElementById("notice");
    place.textContent = text;
    place.hidden = false;
    clearTimeout(notify.timer);
    notify.timer = setTimeout(() => { place.hidden = true; }, 8000);
  };

  document.addEventListener("click", async (event) => {
    const button = event.target.closest?.("[data-copy]");
    if (!button) return;
    const source = document.getElementById(button.dataset.copy);
    const before = button.textContent;
    try {
      await navigator.clipboard.writeText(source.textContent.trim());
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(source);
      button.textContent = "Press Ctrl-C";
    }
    setTimeout(() => { button.textContent = before; }, 1600);
  });

  // A form sent by a button with `data-ask` waits for the answer. Capturing, to come before htmx's own handler.
  let answered = null;
  document.addEventListener("submit", (event) => {
    const button = event.submitter;
    if (!button?.dataset.ask || answered === button) {
      answered = null;
      return;
    }
    event.preventDefault();
    event.stopImmediatePropagation();
    const dialog = document.getElementById("ask");
    document.getElementById("ask-text").textContent = button.dataset.ask;
    document.getElementById("ask-yes").textContent = button.dataset.askYes;
    dialog.returnValue = "";
    dialog.addEventListener("close", () => {
      if (dialog.returnValue !== "yes" || !button.isConnected) return;
      answered = button;
      button.form.requestSubmit(button);
    }, { once: true });
    dialog.showModal();
  }, true);

  // A dangerous button opens once the name is typed; the server checks it again.
  document.addEventListener("input", (event) => {
    const wanted = event.target.dataset?.mustBe;
    if (wanted === undefined) return;
    const button = event.target.form.querySelector("button[type=submit]");
    button.disabled = event.target.value.trim() !== wanted;
  });

  // The browser asks before a page is left whose settings were changed and not saved.
  const saved = new WeakSet();
  const isChanged = (field) => {
    if (field.type === "checkbox" || field.type === "radio") return field.checked !== field.defaultChecked;
    if (field.options) return [...field.options].some((option) => option.selected !== option.defaultSelected);
    return "defaultValue" in field && field.value !== field.defaultValue;
  };
  const isUnsaved = (form) => !saved.has(form)
    && (form.querySelector("[aria-invalid=true]") !== null || [...form.elements].some(isChanged));
  document.addEventListener("input", (event) => saved.delete(event.target.form));
  document.addEventListener("htmx:beforeOnLoad", (event) => {
    if (event.detail.xhr.status < 300) saved.add(event.detail.elt);
  });
  addEventListener("beforeunload", (event) => {
    if ([...document.querySelectorAll(".settings form[hx-post]")].some(isUnsaved)) event.preventDefault();
  });

  document.addEventListener("htmx:responseError", (event) => {
    const { status } = event.detail.xhr;
    const away = status === 503 && event.detail.xhr.getResponseHeader("X-Error-Message");
    if (away) notify(away);
    else if (status === 403) notify("You are signed out, or this page is too old. Reload it and try again.");
    else if (status === 404) notify("That is gone: it was deleted or is no longer yours. Reload the page.");
    else notify(`The server could not do that (${status}). Nothing was changed as far as it knows.`);
  });
  document.addEventListener("htmx:sendError", () => notify("The server does not answer. Check the connection."));
})();
