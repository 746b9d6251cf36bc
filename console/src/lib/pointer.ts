// Places in JSON, as RFC 6901 writes them.

/** The place of what is called so within another. */
export function within(pointer: string, step: string | number): string {
  return `${pointer}/${String(step).replaceAll("~", "~0").replaceAll("/", "~1")}`;
}

/** The steps to a place. */
export function steps(pointer: string): string[] {
  return pointer
    .split("/")
    .slice(1)
    .map(it => it.replaceAll("~1", "/").replaceAll("~0", "~"));
}

/** What is at a place, or nothing. */
export function at(value: unknown, pointer: string): unknown {
  let it = value;
  for (const step of steps(pointer)) {
    if (typeof it !== "object" || it === null) return undefined;
    it = Object.hasOwn(it, step) ? (it as Record<string, unknown>)[step] : undefined;
  }
  return it;
}
