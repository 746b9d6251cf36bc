// rule: path_escape
// attack: ["CallToolRequest", {"name": "read", "arguments": {"file": "../secret.txt"}}]
const fs = require("fs");
const path = require("path");
const { Server } = require("@modelcontextprotocol/sdk/server/index.js");
const { CallToolRequestSchema } = require("@modelcontextprotocol/sdk/types.js");

const server = new Server({ name: "files", version: "1" }, { capabilities: { tools: {} } });
const ROOT = process.env.ROOT;

server.setRequestHandler(CallToolRequestSchema, async (request) => {
  const { name, arguments: args } = request.params;
  switch (name) {
    case "read": {
      const file = path.join(ROOT, path.basename(args.file));
      return { content: [{ type: "text", text: fs.readFileSync(file, "utf8") }] };
    }
    default:
      throw new Error("unknown tool");
  }
});
