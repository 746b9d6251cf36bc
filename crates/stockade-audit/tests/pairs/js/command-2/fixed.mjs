// rule: command_from_caller
// attack: ["log", {"ref": "$(cat ../secret.txt)"}]
import { exec, execFile, execSync, spawn } from "node:child_process";
import { promisify } from "node:util";
import fs from "node:fs/promises";
import path from "node:path";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { z } from "zod";

const server = new McpServer({ name: "notes", version: "1" });
const ROOT = process.env.ROOT;

const run = promisify(exec);

async function shell(line) {
  const { stdout } = await run(line, { cwd: ROOT, timeout: 5000 });
  return stdout;
}

server.tool("log", { ref: z.enum(["main", "next"]) }, async ({ ref }) => {
  return { content: [{ type: "text", text: await shell("echo log " + ref) }] };
});
