// rule: dangling_symlink
import path from "node:path";
import fs from "node:fs/promises";
import { z } from "zod";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";

const server = new McpServer({ name: "notes", version: "1.0.0" });
const ROOT = await fs.realpath(process.env.ROOT);

async function place(file) {
  const full = path.resolve(ROOT, file);
  try {
    return inside(await fs.realpath(full));
  } catch (error) {
    if (error.code !== "ENOENT") throw error;
    // It is to be made: its directory is checked instead.
    inside(await fs.realpath(path.dirname(full)));
    return full;
  }
}

function inside(real) {
  const way = path.relative(ROOT, real);
  if (way.startsWith("..") || path.isAbsolute(way)) throw new Error("outside of the directory");
  return real;
}

server.registerTool(
  "write_file",
  { inputSchema: { file: z.string(), text: z.string() }, annotations: { readOnlyHint: false } },
  async ({ file, text }) => {
    await fs.writeFile(await place(file), text);
    return { content: [{ type: "text", text: "written" }] };
  },
);
