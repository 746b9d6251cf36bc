// One server on version 2 of the TypeScript SDK: `partner.mjs stdio` or `partner.mjs http PORT`.
// It offers a little of everything that the protocol has, in both eras, the same as `partner.py`.

import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { NodeStreamableHTTPServerTransport, toNodeHandler } from "@modelcontextprotocol/node";
import {
  completable,
  createMcpHandler,
  inputRequired,
  inputResponse,
  isLegacyRequest,
  McpServer,
  ResourceTemplate,
} from "@modelcontextprotocol/server";
import { serveStdio } from "@modelcontextprotocol/server/stdio";
import * as z from "zod";

const NAMES = ["Ada", "Alan", "Barbara", "Grace"];
const PIXEL = Buffer.from("\x89PNG\r\n\x1a\n", "latin1");
const text = (it) => ({ content: [{ type: "text", text: it }] });
const slowEnds = new Map();
let announce = {};

function build() {
  const server = new McpServer(
    { name: "partner-ts2", version: "1.0.0" },
    {
      instructions: "A partner: “a little of everything”.",
      capabilities: { logging: {}, resources: { subscribe: true, listChanged: true } },
    },
  );
  const tool = (name, description, inputSchema, act, more = {}) =>
    server.registerTool(name, { description, inputSchema: z.object(inputSchema), ...more }, act);

  tool("echo", "Returns its text.", { text: z.string() }, async (it) => text(it.text));
  tool("add", "Adds two numbers.", { a: z.int(), b: z.int() }, async ({ a, b }) => ({
    ...text(`${a + b}`), structuredContent: { sum: a + b },
  }), { outputSchema: z.object({ sum: z.int() }), annotations: { readOnlyHint: true } });
  tool("fail", "Always fails.", {}, async () => ({ ...text("it was asked to fail"), isError: true }));
  tool("large", "Returns a long text.", { kilobytes: z.int() }, async ({ kilobytes }) =>
    text("0123456789abcdef".repeat(64 * kilobytes)));

  tool("count", "Counts, with progress.", { steps: z.int() }, async ({ steps }, context) => {
    for (let n = 1; n <= steps; n++) await progress(context, n, steps, `step ${n}`);
    await sleep(100); // clients lose the progress that they read together with the answer
    return text(`counted to ${steps}`);
  });
  tool("slow", "Works until it is cancelled.", { key: z.string() }, async ({ key }, context) => {
    const { signal } = context.mcpReq;
    const end = sleep(15_000, "finished", { signal, ref: false }).catch(() => "cancelled");
    slowEnds.set(key, end);
    await progress(context, 1, 100, "started");
    return text(await end);
  });
  tool("slow_outcome", "How the slow call with this key ended.", { key: z.string() }, async ({ key }) => {
    const late = sleep(10_000, "still running", { ref: false });
    return text(await Promise.race([slowEnds.get(key), late]));
  });

  // The SDK turns a returned question into a request of the server where the client is a legacy one.
  const ask = (name, description, question, read) =>
    tool(name, description, {}, async (_, context) => {
      const answer = inputResponse(context.mcpReq.inputResponses, "question");
      if (answer.kind === "missing") {
        return inputRequired({ inputRequests: { question: question() }, requestState: "asked" });
      }
      return text(read(answer));
    });
  ask("ask_model", "Asks the client's model.", () => inputRequired.createMessage({
    messages: [{ role: "user", content: { type: "text", text: "What is a stockade?" } }],
    maxTokens: 40,
  }), (answer) => JSON.stringify(answer.result.content));
  ask("ask_person", "Asks the client's user.", () => inputRequired.elicit({
    message: "Which colour?",
    requestedSchema: {
      type: "object",
      properties: { colour: { type: "string", enum: ["red", "blue"] } },
      required: ["colour"],
    },
  }), (answer) => `${answer.action} ${JSON.stringify(answer.content)}`);
  ask("ask_roots", "Asks for the client's roots.", () => inputRequired.listRoots(), (answer) =>
    answer.roots.map((root) => `${root.name}=${root.uri}`).join(", "));

  tool("say", "Logs at four levels.", {}, async (_, context) => {
    for (const level of ["debug", "info", "warning", "error"]) {
      await context.mcpReq.log(level, { at: level }, "partner");
    }
    return text("said");
  });
  const subscribed = new Set();
  server.server.setRequestHandler("resources/subscribe", ({ params }) => (subscribed.add(params.uri), {}));
  server.server.setRequestHandler("resources/unsubscribe", ({ params }) => (subscribed.delete(params.uri), {}));
  tool("touch", "Says that the welcome note has changed.", {}, async () => {
    announce.resourceUpdated?.("note://welcome");
    if (subscribed.has("note://welcome") || !announce.resourceUpdated) {
      await server.server.sendResourceUpdated({ uri: "note://welcome" });
    }
    return text("touched");
  });
  tool("grow", "Says that the list of tools has changed.", {}, async (_, context) => {
    announce.toolsChanged?.();
    await server.server.sendToolListChanged();
    return text("grown");
  });

  server.registerResource("welcome", "note://welcome", { mimeType: "text/plain" }, async (uri) => ({
    contents: [{ uri: uri.href, mimeType: "text/plain", text: "Willkommen: grüße, 你好, 🙂" }],
  }));
  server.registerResource("picture", "note://picture", { mimeType: "image/png" }, async (uri) => ({
    contents: [{ uri: uri.href, mimeType: "image/png", blob: PIXEL.toString("base64") }],
  }));
  server.registerResource("item", new ResourceTemplate("note://item/{name}", { list: undefined }),
    { mimeType: "text/plain" }, async (uri, { name }) => ({
      contents: [{ uri: uri.href, mimeType: "text/plain", text: `item ${name}` }],
    }));
  server.registerPrompt("greet", {
    description: "Greets somebody.",
    argsSchema: z.object({ name: completable(z.string(), (typed) => NAMES.filter((it) => it.startsWith(typed))) }),
  }, ({ name }) => ({
    messages: [{ role: "user", content: { type: "text", text: `Say hello to ${name}.` } }],
  }));
  return server;
}

async function progress(context, progress, total, message) {
  const progressToken = context.mcpReq._meta?.progressToken;
  if (progressToken === undefined) return;
  await context.mcpReq.notify({
    method: "notifications/progress", params: { progressToken, progress, total, message },
  });
}

/** Modern requests go to a server each, legacy ones to the server of their session. */
function serveHttp(port) {
  const handler = createMcpHandler(build, { legacy: "reject" });
  announce = handler.notify;
  const modern = toNodeHandler(handler);
  const sessions = new Map();
  createServer(async (request, response) => {
    const body = await read(request);
    const url = `http://${request.headers.host}${request.url}`;
    const init = { method: request.method, headers: request.headers, ...(body && { body }) };
    if (!(await isLegacyRequest(new Request(url, init)))) {
      return modern(request, response, body && JSON.parse(body));
    }
    let session = sessions.get(request.headers["mcp-session-id"]);
    if (!session) {
      session = new NodeStreamableHTTPServerTransport({
        sessionIdGenerator: randomUUID,
        onsessioninitialized: (id) => sessions.set(id, session),
      });
      await build().connect(session);
    }
    return session.handleRequest(request, response, body && JSON.parse(body));
  }).listen(port, "127.0.0.1");
}

async function read(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}

const [transport, port] = process.argv.slice(2);
if (transport === "stdio") serveStdio(build);
else serveHttp(Number(port));
