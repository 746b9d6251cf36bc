// rule: check_then_open
import path from "node:path";
import fs from "node:fs/promises";
import { z } from "zod";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";

const server = new McpServer({ name: "notes", version: "1.0.0" });
const ROOT = await fs.realpath(process.env.ROOT);

server.registerTool(
  "read_file",
  { inputSchema: { file: z.string() }, annotations: { readOnlyHint: true } },
  async ({ file }) => {
    const real = await fs.realpath(path.resolve(ROOT, file));
    if (real !== ROOT && !real.startsWith(ROOT + path.sep)) {
      throw new Error("outside of the directory");
    }
    return { content: [{ type: "text", text: await fs.readFile(real, "utf8") }] };
  },
);
