import { expect, test } from "vitest";
import { beginning, forForm, NoForm, wantsNothing } from "./schema.ts";

test("what a form shows is written out, and named", () => {
  const made = forForm({
    $schema: "https://json-schema.org/draft/2020-12/schema",
    type: "object",
    properties: {
      to: { type: "string", description: "who\u200b" },
      n: { type: "integer", title: "How many" },
    },
  });
  expect(made).toEqual({
    type: "object",
    properties: {
      to: { type: "string", description: "who[U+200B]", title: "to" },
      n: { type: "integer", title: "How many (n)" },
    },
  });
});

test("no pattern of a server is run, and nothing is fetched", () => {
  const made = forForm({
    properties: { a: { type: "string", pattern: "(a+)+$" }, b: { $ref: "https://evil.example/schema" } },
    patternProperties: { "(a+)+$": {} },
  });
  expect(JSON.stringify(made)).not.toMatch(/a\+|evil/);
});

test("choices have names", () => {
  const made = forForm({
    properties: {
      a: {
        anyOf: [
          { type: "string" },
          { type: "null" },
          { const: 3 },
          { $ref: "#/$defs/Shape" },
          { minimum: 3 },
        ],
      },
    },
  }) as { properties: { a: { anyOf: { title: string }[] } } };
  expect(made.properties.a.anyOf.map(it => it.title)).toEqual(["string", "null", "3", "Shape", "choice 5"]);
});

test("what is too large is no form", () => {
  let deep: unknown = { type: "string" };
  for (let n = 0; n < 40; n += 1) deep = { type: "object", properties: { a: deep } };
  expect(() => forForm(deep)).toThrow(NoForm);
  const many = Object.fromEntries(Array.from({ length: 2500 }, (_, n) => [`p${n}`, { type: "string" }]));
  expect(() => forForm({ properties: many })).toThrow(NoForm);
});

test("what is no schema is an empty form", () => {
  expect(forForm(null)).toEqual({ type: "object" });
  expect(forForm(true)).toEqual({ type: "object" });
  expect(wantsNothing({ type: "object", properties: {} })).toBe(true);
  expect(wantsNothing({ additionalProperties: { type: "string" } })).toBe(false);
  expect(wantsNothing({ additionalProperties: false })).toBe(true);
});

test("a form begins with the defaults of what must be there", () => {
  expect(beginning({ properties: { a: { default: 1 }, b: { default: 2 } }, required: ["a"] })).toEqual({
    a: 1,
  });
});
