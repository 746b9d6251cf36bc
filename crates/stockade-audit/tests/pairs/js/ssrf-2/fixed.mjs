// rule: ssrf
// attack: ["fetch", {"url": "{CANARY}/#.example.com"}]
import fs from "node:fs/promises";
import path from "node:path";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { z } from "zod";

const server = new McpServer({ name: "notes", version: "1" });
const ROOT = process.env.ROOT;

server.tool("fetch", { url: z.string() }, async ({ url }) => {
  const { hostname, protocol } = new URL(url);
  if (protocol !== "https:" || !hostname.endsWith(".example.com")) throw new Error("not allowed");
  const answer = await fetch(url);
  return { content: [{ type: "text", text: await answer.text() }] };
});
