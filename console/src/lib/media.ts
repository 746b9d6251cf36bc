// Pictures and sounds of a server. What it calls one need not be one: the first bytes say what it is,
// and what runs in a page (SVG, HTML) is none.

const KINDS: [string, string[]][] = [
  ["image/png", ["iVBORw0KGgo"]],
  ["image/jpeg", ["/9j/"]],
  ["image/gif", ["R0lGODdh", "R0lGODlh"]],
  ["image/webp", ["UklGR"]],
  ["audio/wav", ["UklGR"]],
  ["audio/mpeg", ["SUQz", "//s", "//v", "//M", "//N"]],
  ["audio/ogg", ["T2dnUw"]],
];

const CALLED: Record<string, string> = {
  "image/jpg": "image/jpeg",
  "audio/x-wav": "audio/wav",
  "audio/wave": "audio/wav",
  "audio/mp3": "audio/mpeg",
};

/** The address of data that is what it is called, or why it is not shown. */
export function dataUrl(data: unknown, mimeType: unknown): { url: string } | { wrong: string } {
  if (typeof data !== "string" || typeof mimeType !== "string")
    return { wrong: "It has no data, or no type." };
  const called = mimeType.toLowerCase().split(";")[0]?.trim() ?? "";
  const kind = CALLED[called] ?? called;
  const begins = KINDS.find(([it]) => it === kind)?.[1];
  if (!begins) return { wrong: `${mimeType} is not shown here.` };
  if (!begins.some(it => data.startsWith(it)))
    return { wrong: `It is called ${mimeType}, and begins as something else.` };
  if (!/^[A-Za-z0-9+/=\s]*$/.test(data)) return { wrong: "It is no base64." };
  return { url: `data:${kind};base64,${data}` };
}
