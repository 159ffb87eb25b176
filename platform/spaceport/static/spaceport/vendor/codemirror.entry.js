// What codemirror-*.js is made of, with the packages that its imports name (view 6.43.15, state 6.7.6,
// commands 6.11.1, language 6.13.1, legacy-modes 6.5.5) and esbuild 0.28.2:
//   npx esbuild codemirror.entry.js --bundle --minify --format=iife --target=es2020
// ansi_up-*.js is made in the same way of: import { AnsiUp } from "ansi_up"; window.AnsiUp = AnsiUp;
import { EditorView, keymap, lineNumbers, drawSelection } from "@codemirror/view";
import { EditorState } from "@codemirror/state";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { StreamLanguage, syntaxHighlighting, HighlightStyle, indentUnit, bracketMatching } from "@codemirror/language";
import { tags } from "@lezer/highlight";
import { python } from "@codemirror/legacy-modes/mode/python";
import { yaml } from "@codemirror/legacy-modes/mode/yaml";
import { dockerFile } from "@codemirror/legacy-modes/mode/dockerfile";
import { shell } from "@codemirror/legacy-modes/mode/shell";
import { toml } from "@codemirror/legacy-modes/mode/toml";
import { javascript, json } from "@codemirror/legacy-modes/mode/javascript";
import { css } from "@codemirror/legacy-modes/mode/css";
import { html } from "@codemirror/legacy-modes/mode/xml";
window.CodeMirror = { EditorView, EditorState, keymap, lineNumbers, drawSelection, defaultKeymap, history, historyKeymap, indentWithTab, StreamLanguage, syntaxHighlighting, HighlightStyle, indentUnit, bracketMatching, tags, languages: { python, yaml, dockerFile, shell, toml, javascript, json, css, html } };
