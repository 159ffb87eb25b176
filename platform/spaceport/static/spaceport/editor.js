// The editor of a file: CodeMirror in place of the text area, which stays what the form sends. Ctrl-S saves, and
// the browser asks before unsaved text is lost.
(() => {
  const field = document.querySelector("textarea[data-editor]");
  const form = field.form;
  const {
    EditorView, EditorState, keymap, lineNumbers, drawSelection, defaultKeymap, history, historyKeymap, indentWithTab,
    StreamLanguage, syntaxHighlighting, HighlightStyle, indentUnit, bracketMatching, tags, languages,
  } = window.CodeMirror;

  const kinds = {
    py: "python", pyi: "python", yaml: "yaml", yml: "yaml", md: "yaml", toml: "toml", json: "json", js: "javascript", mjs: "javascript",
    ts: "javascript", css: "css", html: "html", htm: "html", svg: "html", xml: "html", sh: "shell", dockerfile: "dockerFile",
  };
  const name = field.dataset.editor.split("/").pop().toLowerCase();
  const language = languages[kinds[name.split(".").pop()]];
  const colour = (name) => `var(--code-${name})`;
  const style = HighlightStyle.define([
    { tag: [tags.keyword, tags.definitionKeyword, tags.modifier, tags.tagName], color: colour("keyword") },
    { tag: [tags.string, tags.special(tags.string), tags.attributeValue], color: colour("string") },
    { tag: [tags.number, tags.bool, tags.null, tags.atom], color: colour("number") },
    { tag: tags.comment, color: "var(--soft)", fontStyle: "italic" },
    { tag: [tags.definition(tags.variableName), tags.className, tags.attributeName, tags.propertyName, tags.meta], color: colour("name") },
  ]);
  const theme = EditorView.theme({
    "&": { minHeight: "14rem", maxHeight: "75vh", fontSize: "var(--tiny)" },
    "&.cm-focused": { outline: "none" },
    ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.6" },
    ".cm-content": { caretColor: "var(--ink)" },
    ".cm-cursor": { borderLeftColor: "var(--ink)" },
    ".cm-gutters": { background: "var(--sunk)", color: "var(--soft)", borderRight: "1px solid var(--line)" },
    "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": { background: "var(--code-selected)" },
  });

  let changed = form.dataset.changed !== undefined;
  let sends = false;
  const save = () => { form.requestSubmit(); return true; };
  // In a shadow tree CodeMirror adds its styles without a <style> element, which the page's policy refuses.
  const root = document.getElementById("editor").attachShadow({ mode: "open" });
  const view = new EditorView({
    parent: root,
    root,
    state: EditorState.create({
      doc: field.value,
      extensions: [
        lineNumbers(), drawSelection(), history(), bracketMatching(), indentUnit.of("    "),
        language ? StreamLanguage.define(language) : [], syntaxHighlighting(style), theme,
        keymap.of([{ key: "Mod-s", run: save }, ...defaultKeymap, ...historyKeymap, indentWithTab]),
        EditorView.contentAttributes.of({ "aria-label": field.dataset.editor, spellcheck: "false" }),
        EditorView.updateListener.of((update) => { changed ||= update.docChanged; }),
      ],
    }),
  });
  field.hidden = true;
  field.labels.forEach((label) => { label.hidden = true; });
  document.getElementById("editor-keys").hidden = false;
  form.addEventListener("submit", () => {
    field.value = view.state.doc.toString();
    sends = true;
  });
  addEventListener("beforeunload", (event) => { if (changed && !sends) event.preventDefault(); });
  view.focus();
})();
