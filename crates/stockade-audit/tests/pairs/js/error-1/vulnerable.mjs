// rule: secret_in_error
// attack: ["sync", {}]
import fs from "node:fs/promises";
import path from "node:path";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { z } from "zod";

const server = new McpServer({ name: "notes", version: "1" });
const ROOT = process.env.ROOT;

const token = process.env.SECRET_TOKEN;

server.tool("sync", async () => {
  try {
    throw new Error("down");
  } catch (error) {
    return { isError: true, content: [{ type: "text", text: `no answer for ${token}` }] };
  }
});
