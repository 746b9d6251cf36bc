// The official TypeScript SDK, version 1 or 2, as a client that asks what it is told to, a line of
// JSON each, and prints what it sees. Usage: asks.mjs 1|2|2-auto COMMAND [ARGUMENT…]; or URL, and the
// bearer key in KEY.
//
// With FORMS in the environment it shows forms to its person, who has said before what to answer.

import { createInterface } from "node:readline";

const [which, command, ...args] = process.argv.slice(2);
const [version, mode] = which.split("-");
const sdk = {
  1: async () => [
    (await import("@modelcontextprotocol/sdk/client/index.js")).Client,
    (await import("@modelcontextprotocol/sdk/client/stdio.js")).StdioClientTransport,
    (await import("@modelcontextprotocol/sdk/client/streamableHttp.js")).StreamableHTTPClientTransport,
  ],
  2: async () => [
    (await import("@modelcontextprotocol/client")).Client,
    (await import("@modelcontextprotocol/client/stdio")).StdioClientTransport,
    (await import("@modelcontextprotocol/client")).StreamableHTTPClientTransport,
  ],
};
const [Client, Stdio, Http] = await sdk[version]();
const headers = { authorization: `Bearer ${process.env.KEY}` };
const transport = command.startsWith("http://")
  ? new Http(new URL(command), { requestInit: { headers } })
  : new Stdio({ command, args, env: process.env, stderr: "ignore" });
const client = new Client(
  { name: `asks-ts${version}`, version: "1.0.0" },
  {
    capabilities: process.env.FORMS ? { elicitation: { form: {} } } : {},
    ...(mode && { versionNegotiation: { mode } }),
  },
);
const person = { after: 0, shown: [] };
if (process.env.FORMS) {
  const form = async ({ params }) => {
    person.shown.push(params.message);
    await new Promise((done) => setTimeout(done, person.after * 1000));
    return person.says;
  };
  const schema = async () => (await import("@modelcontextprotocol/sdk/types.js")).ElicitRequestSchema;
  client.setRequestHandler(version === "1" ? await schema() : "elicitation/create", form);
}
await client.connect(transport);

const does = {
  who: async () => [client.getServerVersion(), client.getInstructions() ?? null],
  tools: async () => (await client.listTools()).tools,
  prompts: async () => (await client.listPrompts()).prompts,
  call: async (name, args) => await client.callTool({ name, arguments: args ?? {} }),
  // What the person says to the next forms, and after so many seconds; what they were shown.
  says: async (says, after) => {
    const { shown } = person;
    Object.assign(person, { says, after, shown: [] });
    return shown;
  },
  get: async (name) => await client.getPrompt({ name }),
};
for await (const line of createInterface({ input: process.stdin })) {
  const [what, ...words] = JSON.parse(line);
  let said;
  try {
    said = { is: await does[what](...words) };
  } catch (error) {
    said = { error: error.message };
  }
  console.log(JSON.stringify(said));
}
await client.close();
