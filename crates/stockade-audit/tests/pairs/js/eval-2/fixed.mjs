// rule: code_evaluation
// attack: ["run", {"code": "this.constructor.constructor('return process')().env.SECRET_TOKEN"}]
import fs from "node:fs/promises";
import path from "node:path";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { z } from "zod";

const server = new McpServer({ name: "notes", version: "1" });
const ROOT = process.env.ROOT;

const OPERATIONS = { double: (x) => x * 2, negate: (x) => -x };

server.tool("run", { code: z.enum(["double", "negate"]) }, async (args) => {
  return { content: [{ type: "text", text: String(OPERATIONS[args.code](1)) }] };
});
