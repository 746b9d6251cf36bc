// The official TypeScript SDK, version 1: `initialize`, and never `server/discover`.

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { getDefaultEnvironment, StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
} from "@modelcontextprotocol/sdk/types.js";
import { invocation, play, tap } from "./steps.mjs";

const { plan, transport, target, args, env, headers } = await invocation();

const open = {
  stdio: () =>
    new StdioClientTransport({ command: target, args, env: { ...getDefaultEnvironment(), ...env }, stderr: "inherit" }),
  http: () => new StreamableHTTPClientTransport(new URL(target), { requestInit: { headers } }),
  sse: () => new SSEClientTransport(new URL(target), { requestInit: { headers } }),
};

const client = new Client(
  { name: "partner-ts1", version: "1.0.0" },
  { capabilities: { sampling: {}, elicitation: { form: {} }, roots: { listChanged: true } } },
);

const peer = {
  client,
  era: "legacy",
  heard: [],
  roots: plan.clientRoots,
  answer: { action: "decline" },
  logging: {},
  async connect() {
    const wire = tap(open[transport](), this);
    await client.connect(wire);
    this.connected = true;
    this.wire = wire;
    return {
      era: "legacy",
      version: this.version,
      server: client.getServerVersion(),
      capabilities: client.getServerCapabilities(),
      instructions: client.getInstructions(),
    };
  },
  callTool: (params, options) => client.callTool(params, undefined, options),
  async subscribe(uri) {
    await client.subscribeResource({ uri });
    return () => client.unsubscribeResource({ uri });
  },
  listenForTools: async () => async () => {},
  async close() {
    await this.wire.terminateSession?.();
    await client.close();
  },
};

client.setRequestHandler(ListRootsRequestSchema, () => ({ roots: peer.roots }));
client.setRequestHandler(ElicitRequestSchema, () => peer.answer);
client.setRequestHandler(CreateMessageRequestSchema, ({ params }) => ({
  model: "partner",
  role: "assistant",
  content: { type: "text", text: `answer to ${JSON.stringify(params.messages)}` },
}));

await play(peer, plan);
// To a pipe, what was printed is written later, and an exit would cut it off.
process.stdout.write("", () => process.exit(0));
