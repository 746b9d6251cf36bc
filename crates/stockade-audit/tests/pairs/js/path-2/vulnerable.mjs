// rule: path_escape
// attack: ["read", {"file": "/../secret.txt"}]
import fs from "node:fs/promises";
import path from "node:path";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { z } from "zod";

const server = new McpServer({ name: "notes", version: "1" });
const ROOT = process.env.ROOT;

function clean(name) {
  return name.split("%00").join("");
}

server.registerTool("read", { description: "reads", inputSchema: { file: z.string() } }, async (args) => {
  const target = `${ROOT}/${clean(args.file)}`;
  return { content: [{ type: "text", text: await fs.readFile(target, { encoding: "utf8" }) }] };
});
