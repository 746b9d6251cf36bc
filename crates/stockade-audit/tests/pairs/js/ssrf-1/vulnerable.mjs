// rule: ssrf
// attack: ["fetch", {"url": "{CANARY}/"}]
import fs from "node:fs/promises";
import path from "node:path";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { z } from "zod";

const server = new McpServer({ name: "notes", version: "1" });
const ROOT = process.env.ROOT;

server.tool("fetch", { url: z.string().url() }, async ({ url }) => {
  const answer = await fetch(url, { signal: AbortSignal.timeout(5000) });
  return { content: [{ type: "text", text: await answer.text() }] };
});
