// rule: path_escape
// attack: ["read", {"file": "../secret.txt"}]
import fs from "node:fs/promises";
import path from "node:path";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { z } from "zod";

const server = new McpServer({ name: "notes", version: "1" });
const ROOT = process.env.ROOT;

server.tool("read", { file: z.string() }, async ({ file }) => {
  const full = await fs.realpath(path.resolve(ROOT, file));
  if (!full.startsWith(ROOT + path.sep)) throw new Error("outside");
  const text = await fs.readFile(full, "utf8");
  return { content: [{ type: "text", text }] };
});
