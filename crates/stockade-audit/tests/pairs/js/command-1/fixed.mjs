// rule: command_from_caller
// attack: ["ping", {"host": "x; cat ../secret.txt"}]
import { exec, execFile, execSync, spawn } from "node:child_process";
import { promisify } from "node:util";
import fs from "node:fs/promises";
import path from "node:path";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { z } from "zod";

const server = new McpServer({ name: "notes", version: "1" });
const ROOT = process.env.ROOT;

const run = promisify(execFile);

server.tool("ping", { host: z.string() }, async ({ host }) => {
  const { stdout } = await run("echo", [host], { cwd: ROOT, timeout: 5000 });
  return { content: [{ type: "text", text: stdout }] };
});
