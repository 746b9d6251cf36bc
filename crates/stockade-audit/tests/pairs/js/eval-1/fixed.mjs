// rule: code_evaluation
// attack: ["calc", {"expression": "process.env.SECRET_TOKEN"}]
import fs from "node:fs/promises";
import path from "node:path";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { z } from "zod";

const server = new McpServer({ name: "notes", version: "1" });
const ROOT = process.env.ROOT;

server.tool("calc", { expression: z.string() }, async ({ expression }) => {
  const value = Number(expression);
  if (!Number.isFinite(value)) throw new Error("not a number");
  return { content: [{ type: "text", text: String(value * 2) }] };
});
