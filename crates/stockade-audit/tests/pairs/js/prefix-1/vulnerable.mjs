// rule: path_prefix
// attack: ["read", {"file": "../root-secret/key"}]
import fs from "node:fs/promises";
import path from "node:path";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { z } from "zod";

const server = new McpServer({ name: "notes", version: "1" });
const ROOT = process.env.ROOT;

server.tool("read", { file: z.string() }, async ({ file }) => {
  const full = path.resolve(ROOT, file);
  if (!full.startsWith(ROOT)) {
    return { isError: true, content: [{ type: "text", text: "outside" }] };
  }
  return { content: [{ type: "text", text: await fs.readFile(full, "utf8") }] };
});
