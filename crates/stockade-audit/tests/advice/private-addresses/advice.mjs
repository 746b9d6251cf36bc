// rule: ssrf
import { z } from "zod";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";

const server = new McpServer({ name: "fetch", version: "1.0.0" });

const PRIVATE = /^(127\.|10\.|192\.168\.|172\.(1[6-9]|2[0-9]|3[01])\.|localhost$)/;

server.registerTool(
  "fetch",
  { inputSchema: { url: z.string().url() }, annotations: { readOnlyHint: true } },
  async ({ url }) => {
    if (PRIVATE.test(new URL(url).hostname)) {
      throw new Error("not a public address");
    }
    const answer = await fetch(url, { redirect: "error", signal: AbortSignal.timeout(5000) });
    return { content: [{ type: "text", text: await answer.text() }] };
  },
);
