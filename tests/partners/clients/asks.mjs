// The official TypeScript SDK, version 1 or 2, as a client that asks what it is told to, a line of
// JSON each, and prints what it sees. Usage: asks.mjs 1|2 COMMAND [ARGUMENT…]

import { createInterface } from "node:readline";

const [version, command, ...args] = process.argv.slice(2);
const sdk = {
  1: async () => [
    (await import("@modelcontextprotocol/sdk/client/index.js")).Client,
    (await import("@modelcontextprotocol/sdk/client/stdio.js")).StdioClientTransport,
  ],
  2: async () => [
    (await import("@modelcontextprotocol/client")).Client,
    (await import("@modelcontextprotocol/client/stdio")).StdioClientTransport,
  ],
};
const [Client, Transport] = await sdk[version]();
const client = new Client({ name: `asks-ts${version}`, version: "1.0.0" }, { capabilities: {} });
await client.connect(new Transport({ command, args, env: process.env, stderr: "ignore" }));

const does = {
  who: async () => [client.getServerVersion(), client.getInstructions() ?? null],
  tools: async () => (await client.listTools()).tools,
  prompts: async () => (await client.listPrompts()).prompts,
  call: async (name) => await client.callTool({ name, arguments: {} }),
  get: async (name) => await client.getPrompt({ name }),
};
for await (const line of createInterface({ input: process.stdin })) {
  const [what, name] = JSON.parse(line);
  let said;
  try {
    said = { is: await does[what](name) };
  } catch (error) {
    said = { error: error.message };
  }
  console.log(JSON.stringify(said));
}
await client.close();
