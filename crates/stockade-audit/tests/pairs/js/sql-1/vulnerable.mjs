// rule: sql_from_caller
// attack: ["user", {"name": "x' OR '1'='1"}]
import fs from "node:fs/promises";
import path from "node:path";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { z } from "zod";

const server = new McpServer({ name: "notes", version: "1" });
const ROOT = process.env.ROOT;

import { db } from "./db.js";

server.tool("user", { name: z.string() }, async ({ name }) => {
  const rows = db.prepare(`SELECT * FROM users WHERE name = '${name}'`).all();
  return { content: [{ type: "text", text: JSON.stringify(rows) }] };
});
