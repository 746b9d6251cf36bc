// rule: path_escape
// attack: ["read", {"file": "/../secret.txt"}]
import fs from "node:fs/promises";
import path from "node:path";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { z } from "zod";

const server = new McpServer({ name: "notes", version: "1" });
const ROOT = process.env.ROOT;

function within(name) {
  const full = path.resolve(ROOT, "." + path.sep + name);
  const relative = path.relative(ROOT, full);
  if (relative === "" || relative.startsWith("..") || path.isAbsolute(relative)) {
    throw new Error("outside");
  }
  return full;
}

server.registerTool("read", { description: "reads", inputSchema: { file: z.string() } }, async (args) => {
  return { content: [{ type: "text", text: await fs.readFile(within(args.file), { encoding: "utf8" }) }] };
});
