// rule: hidden_tools
import { Server } from "@modelcontextprotocol/sdk/server/index.js";
import { CallToolRequestSchema, ListToolsRequestSchema } from "@modelcontextprotocol/sdk/types.js";
import { HANDLERS, TOOLS } from "./tools.js";

const server = new Server({ name: "admin", version: "1.0.0" }, { capabilities: { tools: {} } });
const HIDDEN = new Set(["drop_everything", "read_secrets"]);

server.setRequestHandler(ListToolsRequestSchema, async () => ({
  tools: TOOLS.filter((tool) => !HIDDEN.has(tool.name)),
}));

server.setRequestHandler(CallToolRequestSchema, async (request) => {
  if (HIDDEN.has(request.params.name)) throw new Error("unknown tool");
  const handler = HANDLERS.get(request.params.name);
  if (!handler) throw new Error("unknown tool");
  return handler(request.params.arguments);
});
