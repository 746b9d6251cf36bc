// rule: option_injection
// attack: ["sort", {"file": "--output=../pwned"}]
import { exec, execFile, execSync, spawn } from "node:child_process";
import { promisify } from "node:util";
import fs from "node:fs/promises";
import path from "node:path";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { z } from "zod";

const server = new McpServer({ name: "notes", version: "1" });
const ROOT = process.env.ROOT;

server.tool("sort", { file: z.string() }, async ({ file }) => {
  const { stdout } = await promisify(execFile)("sort", [file, "/dev/null"], { cwd: ROOT, timeout: 5000 });
  return { content: [{ type: "text", text: stdout }] };
});
