// rule: unbounded_size
// attack: ["pad", {"text": "CANARY-7f3", "count": 10000}]
import fs from "node:fs/promises";
import path from "node:path";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { z } from "zod";

const server = new McpServer({ name: "notes", version: "1" });
const ROOT = process.env.ROOT;

server.tool("pad", { text: z.string(), count: z.number() }, async ({ text, count }) => {
  return { content: [{ type: "text", text: text.repeat(count) }] };
});
