// rule: ssrf
import { z } from "zod";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";

const server = new McpServer({ name: "fetch", version: "1.0.0" });

const HOSTS = ["docs.example.org", "api.example.org"];

server.registerTool(
  "fetch",
  { inputSchema: { url: z.string().url() }, annotations: { readOnlyHint: true } },
  async ({ url }) => {
    const { protocol, hostname } = new URL(url);
    if (protocol !== "https:" || !HOSTS.includes(hostname)) {
      throw new Error("not one of the permitted hosts");
    }
    const answer = await fetch(url, { redirect: "error", signal: AbortSignal.timeout(5000) });
    return { content: [{ type: "text", text: await answer.text() }] };
  },
);
