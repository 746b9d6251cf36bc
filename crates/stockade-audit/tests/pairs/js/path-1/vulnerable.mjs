// rule: path_escape
// attack: ["read", {"file": "../secret.txt"}]
import fs from "node:fs/promises";
import path from "node:path";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { z } from "zod";

const server = new McpServer({ name: "notes", version: "1" });
const ROOT = process.env.ROOT;

server.tool("read", { file: z.string() }, async ({ file }) => {
  const text = await fs.readFile(path.join(ROOT, file), "utf8");
  return { content: [{ type: "text", text }] };
});
