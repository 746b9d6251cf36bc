// The program's part of `console/API.md`, as little of it as the page needs: for working on the page, and
// for what a real program does not do on demand. It judges nothing and holds nothing.
//
// Usage: node fake.mjs DIST [COMMAND…]   prints the address

import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { createInterface } from "node:readline";

const [dist, ...command] = process.argv.slice(2);
// Stricter than the program's, which grants more than the page needs.
const CSP = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src blob: data:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";
const KINDS = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".woff2": "font/woff2" };
const HIDDEN = [[0, 8], [11, 31], [127, 159], [160, 160], [173, 173], [8203, 8207], [8232, 8238], [8288, 8303], [65279, 65279], [0xe0000, 0xe0fff]];

const code = randomBytes(8).toString("hex");
const token = randomBytes(16).toString("hex");
const servers = new Map();
const questions = new Map();
const messages = [];
const events = [];
const streams = new Set();
let ids = 0;

function emit(event, data) {
  events.push({ id: events.length + 1, event, data });
  for (const it of streams) write(it, events.at(-1));
}
const write = (to, { id, event, data }) => to.write(`${id === undefined ? "" : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);

class Server {
  constructor(spec) {
    this.id = `s${(ids += 1)}`;
    this.spec = spec;
    this.state = "planned";
    this.confirm = randomBytes(4).toString("hex");
    this.waits = new Map();
    this.wire = 0;
    this.stderr = [];
    servers.set(this.id, this);
  }

  shown() {
    const { id, spec, state, confirm, begun, readyMs, why } = this;
    const { command, url } = spec;
    return { id, label: spec.label ?? spec.command?.at(-1)?.split("/").at(-1) ?? spec.url, state, transport: url ? "http" : "stdio", command, url, spec, confirm, begun, why,
      plan: "It is started with these words. The sandbox enforces files, network, processes, privileges, calls, environment, end, memory, pids.\nIt reaches no file of yours and no host.",
      held: "the sandbox enforces files, network, processes, privileges, calls, environment, end, memory, pids; nothing of it is pinned",
      era: "legacy", revision: begun?.protocolVersion, declared: { sampling: {}, elicitation: { form: {}, url: {} }, roots: { listChanged: true } }, roots: spec.roots ?? [], readyMs, running: 0, questions: 0 };
  }

  is(state, why) {
    Object.assign(this, { state, why });
    emit("server", this.shown());
  }

  async start() {
    const begun = performance.now();
    this.is("starting");
    const [program, ...words] = this.spec.command ?? ["false"];
    this.child = spawn(program, words, { stdio: ["pipe", "pipe", "pipe"] });
    this.child.on("error", it => this.is("failed", String(it)));
    this.child.on("exit", it => this.is(this.state === "ready" ? "ended" : "failed", `It has ended with exit code ${it}. ${this.stderr.at(-1)?.text ?? ""}`));
    createInterface({ input: this.child.stdout }).on("line", line => this.heard(line));
    createInterface({ input: this.child.stderr }).on("line", text => { const it = { at: Date.now(), text }; this.stderr.push(it); emit("stderr", { server: this.id, ...it }); });
    this.begun = (await this.request("initialize", { protocolVersion: "2025-11-25", capabilities: { sampling: {}, elicitation: { form: {}, url: {} }, roots: { listChanged: true } }, clientInfo: { name: "stockade", version: "0" } })).result;
    this.said({ jsonrpc: "2.0", method: "notifications/initialized" });
    this.readyMs = performance.now() - begun;
    this.is("ready");
  }

  note(from, text, it, more = {}) {
    const kind = it.method ? (it.id === undefined ? "notification" : "request") : it.error ? "error" : "result";
    const brief = { n: messages.length + 1, server: this.id, at: Date.now(), from, to: from === "client" ? "server" : "client", kind, method: it.method, id: it.id, bytes: text.length, ...more };
    if (/[\u200b\u202e]/.test(text)) Object.assign(brief, { findings: 1, worst: "high" });
    messages.push({ ...brief, text, records: brief.findings ? [{ kind: "outcome", findings: [{ rule: "hidden_unicode", severity: "high", place: "/result", says: "2 characters that are not seen", action: "mark" }] }] : [] });
    emit("message", brief);
    return brief;
  }

  said(it, more) {
    const text = JSON.stringify(it);
    this.child.stdin.write(`${text}\n`);
    return this.note("client", text, it, more);
  }

  request(method, params, request) {
    const id = (this.wire += 1);
    const at = performance.now();
    this.said({ jsonrpc: "2.0", id, method, params }, { request });
    return new Promise(done => this.waits.set(id, { done, method, request, at }));
  }

  heard(line) {
    const it = JSON.parse(line);
    if (it.method === undefined) {
      const of = this.waits.get(it.id);
      const ms = performance.now() - (of?.at ?? 0);
      const brief = this.note("server", line, it, { method: of?.method, request: of?.request, ms });
      this.waits.delete(it.id);
      return of?.done({ ...it, ms, message: brief.n, bytes: line.length });
    }
    const brief = this.note("server", line, it);
    if (it.id === undefined) {
      const request = it.params?.progressToken;
      return emit("notification", { server: this.id, at: Date.now(), method: it.method, params: it.params, message: brief.n, request });
    }
    const kind = { "elicitation/create": "elicitation", "sampling/createMessage": "sampling", "roots/list": "roots" }[it.method] ?? "other";
    const question = { id: `q${(ids += 1)}`, server: this.id, at: Date.now(), kind, method: it.method, params: it.params, message: brief.n };
    questions.set(question.id, { ...question, wire: it.id });
    emit("question", question);
  }

  async definitions() {
    const list = async (method, key) => (await this.request(method, {})).result?.[key] ?? [];
    const found = raw => {
      const all = [];
      const walk = (it, place) => {
        if (typeof it === "string" && /[\u200b\u202e\u{e0000}-\u{e0fff}]/u.test(it)) all.push({ rule: "hidden_unicode", severity: "high", place, says: "characters that are not seen", action: "mark" });
        else if (it && typeof it === "object") for (const [key, each] of Object.entries(it)) walk(each, `${place}/${key}`);
      };
      walk(raw, "");
      return all;
    };
    const items = [];
    for (const [part, method, key] of [["tool", "tools/list", "tools"], ["prompt", "prompts/list", "prompts"], ["resource", "resources/list", "resources"], ["template", "resources/templates/list", "resourceTemplates"]]) {
      for (const raw of await list(method, key)) items.push({ part, name: raw.uri ?? raw.uriTemplate ?? raw.name, raw, findings: found(raw) });
    }
    const { instructions } = this.begun;
    items.push({ part: "instructions", name: "instructions", raw: instructions, findings: found(instructions) });
    const echo = items.find(it => it.name === "echo");
    if (echo) echo.difference = { class: "dangerous", changes: [{ place: "/description", class: "dangerous", was: "Says back what it is told.", is: echo.raw.description }] };
    return { at: Date.now(), lists: { tools: "ok", prompts: "ok", resources: "ok", resourceTemplates: "ok" }, lock: { state: "none" }, items };
  }
}

const ROUTES = {
  "GET /api/about": () => ({ version: "0.0.0", page: "fake", policy: { servers: [] }, revisions: ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"], hidden: HIDDEN, keep: false }),
  "GET /api/servers": () => ({ servers: [...servers.values()].map(it => it.shown()) }),
  "POST /api/servers": (_, body) => { const it = new Server(body); emit("server", it.shown()); return it.shown(); },
  "POST /api/servers/ID/start": ([it]) => { void servers.get(it).start(); return servers.get(it).shown(); },
  "POST /api/servers/ID/stop": ([it]) => { servers.get(it).child?.kill(); return {}; },
  "DELETE /api/servers/ID": ([it]) => { servers.get(it).child?.kill(); servers.delete(it); emit("removed", { server: it }); return {}; },
  "PUT /api/servers/ID/roots": ([it], { roots }) => { servers.get(it).spec.roots = roots; emit("server", servers.get(it).shown()); return {}; },
  "PUT /api/servers/ID/answers": () => ({}),
  "GET /api/servers/ID/definitions": async ([it]) => (servers.get(it).listed = await servers.get(it).definitions()),
  "GET /api/servers/ID/logs": ([it]) => ({ stderr: servers.get(it).stderr, dropped: 0 }),
  "POST /api/servers/ID/requests": ([it], { method, params }) => {
    const request = `r${(ids += 1)}`;
    const server = servers.get(it);
    void server.request(method, { ...params, _meta: { progressToken: request } }, request).then(({ result, error, ms, message, bytes }) => emit("answer", { server: it, request, at: Date.now(), ms, message, bytes, result, error }));
    return [202, { request }];
  },
  "POST /api/servers/ID/requests/ID/cancel": ([it, request]) => {
    const server = servers.get(it);
    const [wire] = [...server.waits].find(([, of]) => of.request === request) ?? [];
    server.said({ jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: wire } });
    server.waits.delete(wire);
    emit("answer", { server: it, request, at: Date.now(), cancelled: true });
    return {};
  },
  "POST /api/servers/ID/judge": (_, { tool }) => tool === "hostile"
    ? { verdict: "deny", by: [{ rule: "hidden_unicode", place: null }], why: ["the tool's description has characters that are not seen"], findings: [{ rule: "hidden_unicode", severity: "high", at: "/description", says: "20 characters that are not seen", action: "deny" }], listed: true, sent: null }
    : { verdict: "allow", by: [{ rule: "tools[0]", place: "stockade.toml:5" }], why: [], findings: [], listed: true, sent: {} },
  "GET /api/questions": () => ({ questions: [...questions.values()] }),
  "POST /api/questions/ID": ([id], body) => {
    const it = questions.get(id);
    if (!it) return [409, { error: "nobody waits for it any more" }];
    questions.delete(id);
    servers.get(it.server).said({ jsonrpc: "2.0", id: it.wire, ...(body.action ? { result: body } : body) });
    emit("settled", { id, by: "page" });
    return {};
  },
  "POST /api/validate": (_, { schema, value }) => { const missing = schema?.required?.find(it => value?.[it] === undefined); return missing ? { valid: false, place: "", says: `the value has no \`${missing}\`` } : { valid: true }; },
  "GET /api/rules/ID": ([id]) => ({ id, severity: "high", page: `# ${id}\n\nCharacters that a person does not see, and a model reads.` }),
  "GET /api/ledger/verify": () => ({ whole: true, says: "whole: 2 records in 1 segment" }),
  "GET /api/ledger": () => ({ damaged: 0, records: [
    { at: new Date().toISOString(), segment: "a", seq: 2, record: { kind: "decision", decision: "deny", tool: "hostile", rule: "hidden_unicode", says: "20 characters that nobody sees\u200b", server: "notes" } },
    { at: new Date().toISOString(), segment: "a", seq: 1, record: { kind: "outcome", decision: "allow", tool: "echo", server: "notes" } },
  ] }),
  "GET /api/messages/ID": ([n]) => messages[n - 1],
  "GET /api/messages": (_, __, query) => {
    const { server, from, kind, method, text, findings, violation, before, after, limit = 200 } = Object.fromEntries(query);
    const fits = it => (!server || it.server === server) && (!from || it.from === from) && (!kind || it.kind === kind) && (!method || it.method === method) && (!text || it.text.toLowerCase().includes(text.toLowerCase())) && (!findings || it.findings) && (!violation || it.violation) && (!before || it.n < before) && (!after || it.n > after);
    const all = messages.filter(fits);
    const some = after ? all.slice(0, limit) : all.reverse().slice(0, limit);
    return { first: 1, last: messages.length, total: messages.length, dropped: 0, messages: some.map(({ text: _, records: __, ...it }) => it), ...all.length > some.length ? { next: some.at(-1).n } : {} };
  },
  "GET /api/messages.jsonl": () => messages,
  "DELETE /api/messages": () => { messages.length = 0; return {}; },
};

function route(method, path) {
  for (const [name, run] of Object.entries(ROUTES)) {
    const [of, pattern] = name.split(" ");
    const found = of === method && new RegExp(`^${pattern.replaceAll("ID", "([^/]+)").replace(".", "\\.")}$`).exec(path);
    if (found) return body => run(found.slice(1).map(decodeURIComponent), ...body);
  }
  return null;
}

const http = createServer(async (request, response) => {
  const url = new URL(request.url, "http://127.0.0.1");
  const headers = { "content-security-policy": CSP, "cache-control": "no-store", "x-content-type-options": "nosniff", "referrer-policy": "no-referrer" };
  const json = (status, it) => response.writeHead(status, { ...headers, "content-type": "application/json" }).end(JSON.stringify(it));
  if (!url.pathname.startsWith("/api/")) {
    const file = normalize(url.pathname === "/" ? "/index.html" : url.pathname);
    try {
      return response.writeHead(200, { ...headers, "content-type": KINDS[extname(file)] ?? "application/octet-stream" }).end(readFileSync(join(dist, file)));
    } catch {
      return json(404, { error: "no such file" });
    }
  }
  let text = "";
  for await (const it of request) text += it;
  const body = text ? JSON.parse(text) : {};
  if (url.pathname === "/api/enter") return body.code === code ? json(200, { token }) : json(403, { error: "no" });
  if (request.headers.authorization !== `Bearer ${token}`) return json(401, { error: "not let in" });
  if (url.pathname === "/api/events") {
    response.writeHead(200, { ...headers, "content-type": "text/event-stream" });
    const last = Number(request.headers["last-event-id"] ?? -1);
    write(response, { event: "hello", data: { whole: last >= 0 } });
    if (last >= 0) for (const it of events.slice(last)) write(response, it);
    streams.add(response);
    return request.on("close", () => streams.delete(response));
  }
  const run = route(request.method, url.pathname);
  if (!run) return json(404, { error: "no such route" });
  try {
    const it = await run([body, url.searchParams]);
    return Array.isArray(it) && typeof it[0] === "number" ? json(...it) : json(200, it);
  } catch (error) {
    return json(400, { error: String(error) });
  }
}).listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${http.address().port}/#${code}`));
setInterval(() => streams.forEach(it => it.write(": here\n\n")), 5000).unref();
for (let n = 1; n <= Number(process.env.MESSAGES ?? 0); n += 1) {
  const text = JSON.stringify({ jsonrpc: "2.0", id: n, method: "tools/call", params: { name: `tool_${n}` } });
  messages.push({ n, server: "s1", at: Date.now(), from: "client", to: "server", kind: "request", method: "tools/call", id: n, bytes: text.length, text });
}
if (command.length) void new Server({ command }).start();
process.stdin.on("end", () => process.exit()).resume();
