// rule: path_escape
// attack: ["save", {"name": "../pwned", "text": "x"}]
import fs from "node:fs/promises";
import path from "node:path";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { z } from "zod";

const server = new McpServer({ name: "notes", version: "1" });
const ROOT = process.env.ROOT;

import { writeFileSync } from "node:fs";

server.tool("save", "saves a note", { name: z.string().regex(/^[a-z0-9-]+$/), text: z.string() }, async ({ name, text }) => {
  writeFileSync(ROOT + "/" + name, text);
  return { content: [] };
});
