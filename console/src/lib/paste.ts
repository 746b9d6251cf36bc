// What people paste: the configuration of some client, a part of one, an address, or a command line.

import { type ParseError, parse as parseJsonc } from "jsonc-parser";
import { join, split } from "shlex";

/** A server as somebody wrote it down. */
export interface Pasted {
  name: string;
  command: string[];
  url: string;
  env: Record<string, string>;
  headers: Record<string, string>;
  cwd: string;
}

/** The names under which clients keep their servers, the nested one last. */
const UNDER = ["mcpServers", "servers", "context_servers", "mcp"];

/** The servers in a text. Says why where there are none. */
export function pasted(text: string): { servers: Pasted[] } | { wrong: string } {
  const trimmed = text.trim();
  if (!trimmed) return { wrong: "Nothing is pasted." };
  if (/^https?:\/\//.test(trimmed) && !/\s/.test(trimmed))
    return { servers: [{ ...none(""), url: trimmed }] };
  if (!/^[{["/]/.test(trimmed) || trimmed.startsWith("/")) {
    const command = words(trimmed);
    return "wrong" in command ? command : { servers: [{ ...none(""), command: command.words }] };
  }
  // `"name": { … }` alone is what documentation often shows.
  const whole = trimmed.startsWith('"') ? `{${trimmed.replace(/,\s*$/, "")}}` : trimmed;
  const errors: ParseError[] = [];
  const value: unknown = parseJsonc(whole, errors, { allowTrailingComma: true });
  const [error] = errors;
  if (error) return { wrong: `This is no JSON: something is wrong at character ${error.offset + 1}.` };
  const servers = within(value);
  return servers.length
    ? { servers }
    : { wrong: "There is no server in it: neither a command nor an address." };
}

/** The words of a command line, as a shell would part them. */
export function words(line: string): { words: string[] } | { wrong: string } {
  try {
    return { words: split(line) };
  } catch (error) {
    return { wrong: `This is no command line: ${error instanceof Error ? error.message : String(error)}.` };
  }
}

/** Words as a command line that a shell parts into them again. */
export const line = (command: string[]): string => join(command);

function within(value: unknown): Pasted[] {
  if (!isMap(value)) return [];
  const alone = server("", value);
  if (alone) return [alone];
  for (const name of UNDER) {
    const inner = value[name];
    if (isMap(inner)) {
      const found = within(inner);
      if (found.length) return found;
    }
  }
  return Object.entries(value).flatMap(([name, it]) => {
    const found = isMap(it) ? server(name, it) : null;
    return found ? [found] : [];
  });
}

function server(name: string, it: Record<string, unknown>): Pasted | null {
  const url = text(it.url) || text(it.serverUrl) || text(it.httpUrl);
  const nested = isMap(it.command) ? it.command : it;
  const program = Array.isArray(it.command) ? texts(it.command) : [text(nested.command) || text(nested.path)];
  if (!url && !program[0]) return null;
  return {
    name,
    url: url,
    command: url ? [] : [...program, ...texts(nested.args)],
    env: strings(nested.env ?? it.environment),
    headers: strings(it.headers),
    cwd: text(it.cwd),
  };
}

function none(name: string): Pasted {
  return { name, command: [], url: "", env: {}, headers: {}, cwd: "" };
}

function isMap(it: unknown): it is Record<string, unknown> {
  return typeof it === "object" && it !== null && !Array.isArray(it);
}

function text(it: unknown): string {
  return typeof it === "string" ? it : "";
}

function texts(it: unknown): string[] {
  return Array.isArray(it) ? it.filter(each => typeof each === "string") : [];
}

function strings(it: unknown): Record<string, string> {
  if (!isMap(it)) return {};
  return Object.fromEntries(
    Object.entries(it).map(([name, value]) => [
      name,
      typeof value === "string" ? value : JSON.stringify(value),
    ]),
  );
}
