import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { json, jsonParseLinter } from "@codemirror/lang-json";
import {
  bracketMatching,
  foldGutter,
  foldKeymap,
  HighlightStyle,
  indentOnInput,
  indentUnit,
  syntaxHighlighting,
} from "@codemirror/language";
import { linter, lintKeymap } from "@codemirror/lint";
import { Annotation, EditorState } from "@codemirror/state";
import { EditorView, highlightSpecialChars, keymap } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { useEffect, useRef } from "react";
import type { EditorProps } from "./editor.tsx";

/** What came from outside is not told outside. */
const outside = Annotation.define<boolean>();

const colours = HighlightStyle.define([
  { tag: tags.propertyName, color: "var(--key)", fontWeight: "600" },
  { tag: tags.string, color: "var(--string)" },
  { tag: tags.number, color: "var(--number)" },
  { tag: [tags.bool, tags.null], color: "var(--atom)" },
  { tag: [tags.separator, tags.brace, tags.squareBracket], color: "var(--soft)" },
]);

const look = EditorView.theme({
  "&": { backgroundColor: "transparent", color: "var(--ink)", fontSize: "0.8125rem" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.6", fontVariantLigatures: "none" },
  ".cm-content": { padding: "0.5rem 0", caretColor: "var(--ink)" },
  ".cm-gutters": { backgroundColor: "transparent", border: "none", color: "var(--soft)" },
  ".cm-line": { padding: "0 0.75rem 0 0.25rem" },
  ".cm-specialChar": { backgroundColor: "var(--mark)", color: "var(--on-mark)", borderRadius: "3px" },
  ".cm-tooltip": {
    backgroundColor: "var(--paper)",
    color: "var(--ink)",
    border: "1px solid var(--line)",
    borderRadius: "8px",
  },
  ".cm-matchingBracket, &.cm-focused .cm-matchingBracket": {
    backgroundColor: "var(--accent-soft)",
    outline: "none",
  },
});

const wrong = jsonParseLinter();

export default function Editor({ value, onChange, label, lines = 3 }: EditorProps) {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView>(null);
  const change = useRef(onChange);
  change.current = onChange;

  // biome-ignore lint/correctness/useExhaustiveDependencies: the value that it begins with
  useEffect(() => {
    const at = host.current;
    if (!at) return undefined;
    // In a shadow the editor's styles are made by `CSSStyleSheet`, which needs no exception from the
    // policy that a page's styles are files.
    const root = at.shadowRoot ?? at.attachShadow({ mode: "open" });
    const it = new EditorView({
      root,
      parent: root,
      state: EditorState.create({
        doc: value,
        extensions: [
          json(),
          history(),
          foldGutter(),
          indentOnInput(),
          indentUnit.of("  "),
          bracketMatching(),
          highlightSpecialChars(),
          syntaxHighlighting(colours),
          linter(of => (of.state.doc.length ? wrong(of) : []), { delay: 300 }),
          keymap.of([...defaultKeymap, ...historyKeymap, ...foldKeymap, ...lintKeymap, indentWithTab]),
          EditorView.lineWrapping,
          EditorView.contentAttributes.of({ "aria-label": label }),
          EditorView.theme({ ".cm-content, .cm-gutter": { minHeight: `${lines * 1.3}rem` } }),
          look,
          EditorView.updateListener.of(update => {
            if (update.docChanged && !update.transactions.some(each => each.annotation(outside))) {
              change.current(update.state.doc.toString());
            }
          }),
        ],
      }),
    });
    view.current = it;
    return () => {
      it.destroy();
      view.current = null;
    };
  }, []);

  useEffect(() => {
    const it = view.current;
    if (!it || it.state.doc.toString() === value) return;
    it.dispatch({
      changes: { from: 0, to: it.state.doc.length, insert: value },
      annotations: outside.of(true),
    });
  }, [value]);

  return <div ref={host} />;
}
