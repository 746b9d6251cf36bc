// rule: command_from_caller
// attack: ["convert", {"input": "x && cat ../secret.txt"}]
import { exec, execFile, execSync, spawn } from "node:child_process";
import { promisify } from "node:util";
import fs from "node:fs/promises";
import path from "node:path";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { z } from "zod";

const server = new McpServer({ name: "notes", version: "1" });
const ROOT = process.env.ROOT;

server.tool("convert", { input: z.string() }, ({ input }) => new Promise((resolve) => {
  const child = spawn("echo", [input], { shell: true, cwd: ROOT });
  let text = "";
  child.stdout.on("data", (part) => { text += part; });
  child.on("close", () => resolve({ content: [{ type: "text", text }] }));
}));
