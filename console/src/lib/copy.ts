// What was asked on the page, for a script.

import { join, quote } from "shlex";
import type { Json, Server } from "../api/types.ts";

/** The line that asks the same from a shell. Keys are not in it: nobody was told them. */
export function asCall(server: Server, method: string, params: Json | undefined): string {
  const words = ["stockade", "call"];
  if (server.era && server.era !== "legacy") words.push("--era", server.era);
  const { sandbox } = (server.spec ?? {}) as { sandbox?: { how?: string; roots?: string[]; net?: string[] } };
  if (sandbox?.how && sandbox.how !== "native") words.push("--sandbox", sandbox.how);
  for (const root of sandbox?.roots ?? []) words.push("--root", root);
  if (sandbox?.net?.length) words.push("--net", sandbox.net.join(","));
  const json = params && Object.keys(params).length ? ` ${quote(JSON.stringify(params))}` : "";
  if (server.url) return `${join(words)} ${quote(server.url)} ${quote(method)}${json}`;
  const { name } = (server.spec ?? {}) as { name?: string };
  if (name) return `${join(words)} ${quote(name)} ${quote(method)}${json}`;
  return `${join(words)} ${quote(method)}${json} -- ${join(server.command ?? [])}`;
}
