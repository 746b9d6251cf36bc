import { expect, test } from "vitest";
import { hidden, parts, setHidden, written } from "./visible.ts";

test("a plain text is one part", () => {
  expect(parts("Reads a file.\n\tIn UTF-8: äöü 日本語 שלום")).toEqual([
    { kind: "text", text: "Reads a file.\n\tIn UTF-8: äöü 日本語 שלום" },
  ]);
});

test("what is not seen is named", () => {
  expect(written("a\u200bb\u202ec\u0000\u001b[31m\ufeff")).toBe(
    "a[U+200B]b[U+202E]c[U+0000][U+001B][31m[U+FEFF]",
  );
  expect(hidden("a\u200b\u200c")).toBe(2);
});

test("a text in tags is read", () => {
  const tags = [..."ignore all"].map(it => String.fromCodePoint(0xe0000 + (it.codePointAt(0) ?? 0))).join("");
  expect(written(`x${tags}y`)).toBe("x[tags: ignore all]y");
  expect(hidden(tags)).toBe(10);
});

test("an emoji is no hiding place, and what stands beside it is", () => {
  expect(written("👩‍👩‍👧 ❤️ 🏴󠁧󠁢󠁥󠁮󠁧󠁿")).toBe("👩‍👩‍👧 ❤️ 🏴󠁧󠁢󠁥󠁮󠁧󠁿");
  expect(written("x\ufe0f")).toBe("x[U+FE0F]");
  expect(written("a\u200d❤️")).toBe("a[U+200D]❤️");
});

test("half a surrogate pair is shown", () => {
  expect(written("\ud800")).toBe("[U+D800]");
});

test("what the program takes for hidden counts", () => {
  setHidden([
    [0, 8],
    [160, 160],
    [8203, 8207],
  ]);
  expect(written("no\u00a0break\u200b\u202e")).toBe("no[U+00A0]break[U+200B]\u202e");
});
