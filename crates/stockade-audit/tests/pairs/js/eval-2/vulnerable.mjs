// rule: code_evaluation
// attack: ["run", {"code": "this.constructor.constructor('return process')().env.SECRET_TOKEN"}]
import fs from "node:fs/promises";
import path from "node:path";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { z } from "zod";

const server = new McpServer({ name: "notes", version: "1" });
const ROOT = process.env.ROOT;

import vm from "node:vm";

server.tool("run", { code: z.string() }, async (args) => {
  const box = vm.createContext({ x: 1 });
  return { content: [{ type: "text", text: String(vm.runInContext(args.code, box)) }] };
});
