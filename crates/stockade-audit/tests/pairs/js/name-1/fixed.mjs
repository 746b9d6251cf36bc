// rule: name_from_caller
// attack: ["set", {"path": "__proto__", "key": "polluted", "value": "CANARY-7f3"}]
import fs from "node:fs/promises";
import path from "node:path";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { z } from "zod";

const server = new McpServer({ name: "notes", version: "1" });
const ROOT = process.env.ROOT;

const settings = { view: {}, edit: {} };

server.tool("set", { path: z.enum(["view", "edit"]), key: z.string(), value: z.string() }, async ({ path: at, key, value }) => {
  const part = new Map(Object.entries(settings[at]));
  part.set(key, value);
  return { content: [{ type: "text", text: String({}.polluted) }] };
});
