// The official TypeScript SDK, version 2. MODE is `legacy`, `auto` (probes with `server/discover`)
// or a revision, which is pinned.

import {
  Client,
  LOG_LEVEL_META_KEY,
  SSEClientTransport,
  StreamableHTTPClientTransport,
} from "@modelcontextprotocol/client";
import { getDefaultEnvironment, StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { invocation, play, tap } from "./steps.mjs";

const { mode, plan, transport, target, args, env, headers } = await invocation();

const open = {
  stdio: () =>
    new StdioClientTransport({ command: target, args, env: { ...getDefaultEnvironment(), ...env }, stderr: "inherit" }),
  http: () => new StreamableHTTPClientTransport(new URL(target), { requestInit: { headers } }),
  sse: () => new SSEClientTransport(new URL(target), { requestInit: { headers } }),
};

const client = new Client(
  { name: "partner-ts2", version: "1.0.0" },
  {
    capabilities: { sampling: {}, elicitation: { form: {} }, roots: { listChanged: true } },
    versionNegotiation: { mode: ["legacy", "auto"].includes(mode) ? mode : { pin: mode } },
  },
);

const peer = {
  client,
  heard: [],
  roots: plan.clientRoots,
  answer: { action: "decline" },
  async connect() {
    const wire = tap(open[transport](), this);
    await client.connect(wire);
    this.connected = true;
    this.wire = wire;
    this.era = client.getProtocolEra();
    return {
      era: this.era,
      version: client.getNegotiatedProtocolVersion(),
      server: client.getServerVersion(),
      capabilities: client.getServerCapabilities(),
      instructions: client.getInstructions(),
    };
  },
  callTool: ({ _meta, ...params }, { meta, ...options }) =>
    client.callTool({ ...params, ...(meta && { _meta: meta }) }, options),
  get logging() {
    return this.era === "modern" ? { meta: { [LOG_LEVEL_META_KEY]: "warning" } } : {};
  },
  async subscribe(uri) {
    if (this.era === "modern") return this.listen({ resourceSubscriptions: [uri] });
    await client.subscribeResource({ uri });
    return () => client.unsubscribeResource({ uri });
  },
  async listenForTools() {
    return this.era === "modern" ? this.listen({ toolsListChanged: true }) : async () => {};
  },
  async listen(filter) {
    const subscription = await client.listen(filter);
    return () => subscription.close();
  },
  async close() {
    if (this.era === "legacy") await this.wire.terminateSession?.();
    await client.close();
  },
};

client.setRequestHandler("roots/list", () => ({ roots: peer.roots }));
client.setRequestHandler("elicitation/create", () => peer.answer);
client.setRequestHandler("sampling/createMessage", ({ params }) => ({
  model: "partner",
  role: "assistant",
  content: { type: "text", text: `answer to ${JSON.stringify(params.messages)}` },
}));

await play(peer, plan);
// To a pipe, what was printed is written later, and an exit would cut it off.
process.stdout.write("", () => process.exit(0));
