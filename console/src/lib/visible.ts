// What a text hides. A model reads characters that a person does not see: they are named here, so that
// a page can show them.

/** A part of a text: as it stands, or what hides in it. */
export type Part =
  | { kind: "text"; text: string }
  | { kind: "hidden"; text: string; code: string; says: string }
  | { kind: "tags"; text: string; says: string };

/**
 * What shows nothing, or changes how its neighbours are shown, until the program has said what it takes
 * for that: it has the table that its terminal uses. A known emoji may be made of such characters, and
 * is none of them.
 */
let hiding = pattern(
  "[\\p{Default_Ignorable_Code_Point}\\p{Cc}\\p{Cf}\\p{Co}\\p{Cs}\\p{Cn}\\p{Zl}\\p{Zp}]--[\\n\\t]",
);

/** Has these code points shown from now on, in ranges. */
export function setHidden(ranges: [number, number][]): void {
  const hex = (point: number) => `\\u{${point.toString(16)}}`;
  hiding = pattern(ranges.map(([from, to]) => `${hex(from)}-${hex(to)}`).join(""));
}

function pattern(set: string): RegExp {
  return new RegExp(`\\p{RGI_Emoji}|[\\u{e0020}-\\u{e007e}]+|[${set}]`, "gv");
}

const NAMES: Record<number, string> = {
  0: "null",
  7: "bell",
  8: "backspace",
  13: "carriage return",
  27: "escape: begins a command to a terminal",
  160: "no-break space",
  173: "soft hyphen",
  847: "combining grapheme joiner",
  1564: "Arabic letter mark",
  4447: "Hangul filler",
  4448: "Hangul filler",
  8203: "zero width space",
  8204: "zero width non-joiner",
  8205: "zero width joiner",
  8206: "left-to-right mark",
  8207: "right-to-left mark",
  8232: "line separator",
  8233: "paragraph separator",
  8234: "left-to-right embedding",
  8235: "right-to-left embedding",
  8236: "end of embedding",
  8237: "left-to-right override",
  8238: "right-to-left override: what follows is shown backwards",
  8288: "word joiner",
  8294: "left-to-right isolate",
  8295: "right-to-left isolate",
  8296: "first strong isolate",
  8297: "end of isolate",
  10240: "blank braille pattern",
  12644: "Hangul filler",
  65279: "zero width no-break space",
};

/** The text in its parts. */
export function parts(text: string): Part[] {
  const all: Part[] = [];
  let at = 0;
  for (const match of text.matchAll(hiding)) {
    const found = match[0];
    const point = found.codePointAt(0) ?? 0;
    if (/^\p{RGI_Emoji}$/v.test(found)) continue;
    if (match.index > at) all.push({ kind: "text", text: text.slice(at, match.index) });
    at = match.index + found.length;
    if (isTag(point)) {
      const says = [...found].map(it => String.fromCodePoint((it.codePointAt(0) ?? 0) - 0xe0000)).join("");
      all.push({ kind: "tags", text: found, says });
    } else {
      all.push({
        kind: "hidden",
        text: found,
        code: code(point),
        says: NAMES[point] ?? "not shown by itself",
      });
    }
  }
  if (at < text.length) all.push({ kind: "text", text: text.slice(at) });
  return all;
}

/** How many characters hide in it. */
export function hidden(text: string): number {
  return parts(text).reduce((sum, it) => sum + (it.kind === "text" ? 0 : [...it.text].length), 0);
}

/** The text with what hides in it written out: for a title, a label, or whatever takes no markup. */
export function written(text: string): string {
  return parts(text)
    .map(it => (it.kind === "text" ? it.text : it.kind === "tags" ? `[tags: ${it.says}]` : `[${it.code}]`))
    .join("");
}

function isTag(point: number): boolean {
  return point >= 0xe0020 && point <= 0xe007e;
}

function code(point: number): string {
  return `U+${point.toString(16).toUpperCase().padStart(4, "0")}`;
}
