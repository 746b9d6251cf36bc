// Addresses with places to fill in, as RFC 6570 has them.

import { parseTemplate } from "url-template";

/** The names that a template wants, in order, each once. */
export function variables(template: string): string[] {
  const names = [...template.matchAll(/\{[+#./;?&=,!@|]?([^{}]+)\}/g)].flatMap(it =>
    (it[1] ?? "").split(",").map(each => each.replace(/(\*|:\d+)$/, "")),
  );
  return [...new Set(names)];
}

/** The address, or why there is none. */
export function expand(
  template: string,
  values: Record<string, string>,
): { uri: string } | { wrong: string } {
  try {
    return { uri: parseTemplate(template).expand(values) };
  } catch (error) {
    return { wrong: error instanceof Error ? error.message : String(error) };
  }
}
