// A server's schema, made ready for a form. It may be anything: what a form cannot be made of is said.

import { written } from "./visible.ts";

type Schema = Record<string, unknown>;

/** A form of more parts than that is none that anybody fills in. */
const PARTS_MAX = 2000;
const DEPTH_MAX = 32;

const MAPS = ["properties", "$defs", "definitions", "dependentSchemas"];
const LISTS = ["oneOf", "anyOf", "allOf", "prefixItems"];
const INNER = ["items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames"];

/** Why there is no form. */
export class NoForm extends Error {}

/**
 * The schema with what a form shows of it written out, and without patterns: a regular expression of a
 * server may take for ever, and what is filled in is judged by the program, where none does.
 */
export function forForm(schema: unknown): Schema {
  let parts = 0;
  const walk = (it: unknown, name: string | null, depth: number): unknown => {
    if (!isMap(it)) return it;
    parts += 1;
    if (parts > PARTS_MAX || depth > DEPTH_MAX) throw new NoForm("The schema is larger than a form can be.");
    const out: Schema = {};
    for (const [key, value] of Object.entries(it)) {
      if (["pattern", "patternProperties", "$schema", "$id", "$comment", "examples"].includes(key)) continue;
      if (key === "title" || key === "description") {
        if (typeof value === "string") out[key] = written(value);
      } else if (MAPS.includes(key) && isMap(value)) {
        const named = key === "properties";
        out[key] = Object.fromEntries(
          Object.entries(value).map(([inner, each]) => [inner, walk(each, named ? inner : null, depth + 1)]),
        );
      } else if (LISTS.includes(key) && Array.isArray(value)) {
        out[key] = value.map((each, index) => option(walk(each, null, depth + 1), index, key));
      } else if (INNER.includes(key)) {
        out[key] = walk(value, null, depth + 1);
      } else if (key === "$ref") {
        // Only what is in the schema itself is looked up: nothing is fetched.
        if (typeof value === "string" && value.startsWith("#")) out[key] = value;
      } else {
        out[key] = value;
      }
    }
    if (name !== null && out.type !== "object") {
      const shown = written(name);
      const title = typeof out.title === "string" ? out.title : shown;
      out.title = title.toLowerCase() === shown.toLowerCase() ? title : `${title} (${shown})`;
    }
    return out;
  };
  const out = walk(schema, null, 0);
  if (!isMap(out)) return { type: "object" };
  const { title: _title, description: _description, ...rest } = out;
  return { type: "object", ...rest };
}

/** One of several, with a name to choose it by. */
function option(it: unknown, index: number, key: string): unknown {
  if (key === "allOf" || key === "prefixItems" || !isMap(it) || it.title) return it;
  const kind = "const" in it ? JSON.stringify(it.const) : it.type;
  const ref = typeof it.$ref === "string" ? it.$ref.split("/").at(-1) : undefined;
  const kinds = Array.isArray(kind) ? kind.join(" or ") : typeof kind === "string" ? kind : undefined;
  return { ...it, title: written(kinds ?? ref ?? `choice ${index + 1}`) };
}

/** Whether a tool wants anything at all. */
export function wantsNothing(schema: unknown): boolean {
  if (!isMap(schema)) return true;
  const { properties, additionalProperties, oneOf, anyOf, allOf, $ref } = schema;
  const isFree = isMap(additionalProperties) && Object.keys(additionalProperties).length > 0;
  return (
    !isFree &&
    !oneOf &&
    !anyOf &&
    !allOf &&
    !$ref &&
    (!isMap(properties) || Object.keys(properties).length === 0)
  );
}

/**
 * What a form begins with: what the schema says is there by default. Of a tool, what must be there alone;
 * of a question to a person, `all` of it.
 */
export function beginning(schema: unknown, all = false): Record<string, unknown> {
  if (!isMap(schema) || !isMap(schema.properties)) return {};
  const required = new Set(Array.isArray(schema.required) ? schema.required : []);
  return Object.fromEntries(
    Object.entries(schema.properties).flatMap(([name, it]) =>
      isMap(it) && "default" in it && (all || required.has(name)) ? [[name, it.default]] : [],
    ),
  );
}

export function isMap(it: unknown): it is Schema {
  return typeof it === "object" && it !== null && !Array.isArray(it);
}
