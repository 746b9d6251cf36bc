// What a TypeScript client does with a server, step by step, one JSON line on stdout for each.
// Not the connection: `ts1.mjs` and `ts2.mjs` make a `peer`, which hides what differs between the
// two major versions of the SDK. `py.py` plays the same steps with the Python SDK.

// Version 2 of the SDK says some things with `console.debug`; stdout is for the steps.
globalThis.console = new console.Console(process.stderr);

const STEP_MS = 30_000;
const QUIET_MS = 5_000;

/** Plays `plan` on `peer`; a step whose part of the plan is missing is left out. */
export async function play(peer, plan) {
  const tell = (step, ok, detail) =>
    process.stdout.write(JSON.stringify({ step, ok, detail }) + "\n");
  const step = async (name, act) => {
    const before = peer.heard.length;
    try {
      tell(name, true, await within(STEP_MS, act(before)));
    } catch (error) {
      tell(name, false, failure(error));
    }
  };
  const call = (tool, options = {}) => peer.callTool({ name: tool.name, arguments: tool.arguments }, options);
  const heard = (before, method, count) => notifications(peer.heard, before, method, count);

  await step("connect", () => peer.connect());
  if (!peer.connected) return;

  await step("tools/list", () => peer.client.listTools());
  for (const [name, tool] of Object.entries(plan.calls)) {
    await step(`tools/call ${name}`, () => call(tool));
  }
  await step("tools/call unknown tool", () => call({ name: "no_such_tool", arguments: {} }));
  await step("tools/call 6 at once", () =>
    Promise.all([...Array(6).keys()].map((n) => call(numbered(plan.echo, n)))));

  await step("resources/list", () => peer.client.listResources());
  await step("resources/templates/list", () => peer.client.listResourceTemplates());
  for (const uri of plan.resources ?? []) {
    await step(`resources/read ${uri}`, () => peer.client.readResource({ uri }));
  }
  await step("resources/read unknown", () => peer.client.readResource({ uri: "note://nowhere" }));
  if (plan.subscribe) {
    const { uri, touch } = plan.subscribe;
    await step("resources/subscribe", async (before) => {
      const stop = await peer.subscribe(uri);
      await call(touch);
      const updates = await heard(before, "notifications/resources/updated", 1);
      await stop();
      return updates.slice(0, 1);
    });
  }

  await step("prompts/list", () => peer.client.listPrompts());
  if (plan.prompt) await step("prompts/get", () => peer.client.getPrompt(plan.prompt));
  await step("prompts/get unknown", () => peer.client.getPrompt({ name: "no_such_prompt" }));
  if (plan.complete) await step("completion/complete", () => peer.client.complete(plan.complete));

  if (plan.progress) {
    await step("progress", async () => {
      let told = false;
      const before = peer.heard.length;
      const result = await call(plan.progress, { onprogress: () => (told = true) });
      // What came over the wire: the SDKs drop progress that is read together with the answer.
      const seen = await heard(before, "notifications/progress", 1);
      return { told, seen: seen.map(({ params: { progressToken, ...it } }) => it), result };
    });
  }
  if (plan.cancel) {
    await step("cancel", async () => {
      const key = crypto.randomUUID();
      const keyed = (tool) => ({ ...tool, arguments: { ...tool.arguments, ...(plan.cancel.outcome && { key }) } });
      const abort = new AbortController();
      const told = await call(keyed(plan.cancel.slow), {
        signal: abort.signal,
        onprogress: () => abort.abort("enough"),
      }).then(() => "answered", failure);
      const outcome = plan.cancel.outcome && (await call(keyed(plan.cancel.outcome)));
      return { told, outcome };
    });
  }

  if (plan.sampling) await step("sampling", () => call(plan.sampling));
  if (plan.elicitation) {
    for (const action of ["accept", "decline", "cancel"]) {
      await step(`elicitation ${action}`, () => {
        peer.answer = { action, ...(action === "accept" && { content: plan.elicitation.content }) };
        return call(plan.elicitation);
      });
    }
  }
  if (plan.roots) {
    await step("roots", () => call(plan.roots));
    if (plan.rootsChange && peer.era === "legacy") {
      await step("roots changed", async () => {
        peer.roots = [...peer.roots, { uri: "file:///second", name: "second" }];
        await peer.client.sendRootsListChanged();
        return call(plan.roots);
      });
    }
  }
  if (peer.era === "legacy") {
    await step("logging/setLevel", () => peer.client.setLoggingLevel("warning"));
  }
  if (plan.log) {
    await step("logging", async (before) => {
      const result = await call(plan.log, peer.logging);
      return { said: await heard(before, "notifications/message", 2), result };
    });
  }
  if (plan.grow) {
    await step("tools/list_changed", async (before) => {
      const stop = await peer.listenForTools();
      await call(plan.grow);
      const changes = await heard(before, "notifications/tools/list_changed", 1);
      await stop();
      return changes.slice(0, 1);
    });
  }
  if (peer.era === "legacy") await step("ping", () => peer.client.ping());
  await step("close", async () => {
    await peer.close();
    return "closed";
  });
}

/**
 * What a client hears on its transport, before the SDK sees it, and what `initialize` settled:
 * `peer.heard` and `peer.version`.
 */
export function tap(wire, peer) {
  wire.onmessage = (message) => {
    peer.heard.push(message);
    peer.version ??= message.result?.protocolVersion;
  };
  return wire;
}

/** The notifications of one method since `before`, once there are `count` or it is quiet. */
async function notifications(all, before, method, count) {
  const until = Date.now() + QUIET_MS;
  for (;;) {
    const found = all.slice(before).filter((it) => it.method === method);
    if (found.length >= count || Date.now() > until) return found;
    await new Promise((wake) => setTimeout(wake, 20));
  }
}

function numbered(tool, n) {
  const [name] = Object.keys(tool.arguments);
  return { name: tool.name, arguments: { ...tool.arguments, [name]: `${n}` } };
}

function failure(error) {
  const { code, data, message } = error ?? {};
  return { kind: error?.constructor?.name, code, message: message ?? String(error), data };
}

function within(ms, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer after ${ms} ms`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/**
 * Reads the command line `MODE PLAN stdio COMMAND [ARGUMENT…]` or `MODE PLAN http|sse URL`.
 * The SDKs give a child only a handful of variables; what the guard and the relay need is named here.
 */
export async function invocation() {
  const { readFile } = await import("node:fs/promises");
  const [mode, plan, transport, target, ...args] = process.argv.slice(2);
  const env = Object.fromEntries(
    ["XDG_STATE_HOME", "XDG_CONFIG_HOME", "RELAY_FAULT"].flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])),
  );
  const headers = process.env.PARTNER_KEY ? { Authorization: `Bearer ${process.env.PARTNER_KEY}` } : {};
  return { mode, plan: JSON.parse(await readFile(plan, "utf8")), transport, target, args, env, headers };
}
