// What waits, and what is said to it. The service tells what happens, a line of JSON each, for as long
// as this page is open; what is answered here is done when the service says so.

import { brief, el, full, grant, granted, left, long, name } from "/show.js";

const by = id => document.getElementById(id);
/** Where the token is: in this tab of this address, and in no address and no cookie. */
const TOKEN = "stockade-token";
/** A click that was meant for what stood there before is none for what stands there now. */
const ARM_MS = 700;
const SILENT_MS = 20_000;
const LOST_MS = 12_000;

const waiting = new Map();
const grants = new Map();
/** What is shown, and what of it was read: `{ id, times }`. */
let chosen = null;
let settled = null;
let granting = null;
let busy = false;
let is = "connecting";
let view = "waiting";

function state(to, says) {
  is = to;
  by("state").dataset.is = to;
  by("state-says").textContent = says;
  document.body.classList.toggle("dead", to !== "live");
}

function aloud(text) {
  by("aloud").textContent = text;
}

function notice(title, ...texts) {
  by("notice").replaceChildren(el("strong", {}, title), ...texts.map(it => el("p", {}, it)));
  by("notice").hidden = false;
}

const again = () => ["Type ", el("code", {}, "stockade approvals open"), " for another."];

// Getting in.

async function enter() {
  const code = location.hash.slice(1);
  if (code) {
    // It is good once, and stays in no address.
    history.replaceState(null, "", "/");
    const answer = await send("/api/enter", { code });
    if (answer?.ok) sessionStorage.setItem(TOKEN, (await answer.json()).token);
  }
  if (sessionStorage.getItem(TOKEN)) return listen();
  state("out", "Not let in");
  notice("This page is not let in.", "Its address is good once, and for two minutes.", again());
}

async function send(path, body) {
  const headers = { "content-type": "application/json", authorization: `Bearer ${sessionStorage.getItem(TOKEN)}` };
  try {
    return await fetch(path, { method: "POST", headers, body: JSON.stringify(body), cache: "no-store", credentials: "omit" });
  } catch {
    return null;
  }
}

// What happens.

async function listen() {
  let heard = performance.now();
  while (performance.now() - heard < LOST_MS) {
    const stop = new AbortController();
    const watch = setInterval(() => performance.now() - heard > SILENT_MS && stop.abort(), 1000);
    try {
      const headers = { authorization: `Bearer ${sessionStorage.getItem(TOKEN)}` };
      const answer = await fetch("/api/events", { headers, signal: stop.signal, cache: "no-store", credentials: "omit" });
      if (!answer.ok) {
        sessionStorage.removeItem(TOKEN);
        clear();
        state("out", "Not let in");
        return notice("This page is not let in any more.", again());
      }
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let rest = ""; ;) {
        const { value, done } = await reader.read();
        if (done) break;
        heard = performance.now();
        const lines = (rest + value).split("\n");
        rest = lines.pop();
        lines.forEach(line => told(JSON.parse(line)));
      }
    } catch {
      // It is tried again.
    } finally {
      clearInterval(watch);
    }
    clear();
    state("lost", "Connection lost");
    await new Promise(done => setTimeout(done, 1000));
  }
  state("out", "Ended");
  notice("The service has ended.", "What waited is denied. It ends when nobody needs it, or when somebody ends it.", again());
}

/** What is not known any more is not shown as if it were. */
function clear() {
  waiting.clear();
  chosen = settled = null;
  draw();
}

function told(line) {
  if (line === "here") return;
  const now = performance.now();
  const take = it => waiting.set(it.id, { ...it, until: now + it.left_ms });
  if (line.waiting) {
    by("notice").hidden = true;
    state("live", "Live");
    waiting.clear();
    line.waiting.forEach(take);
  } else if (line.asked) {
    const known = waiting.has(line.asked.id);
    take(line.asked);
    if (!known) aloud(`A question: ${name(line.asked)} of ${line.asked.server}`);
  } else if (line.settled) {
    settle(line.settled);
  } else if (line.grants) {
    grants.clear();
    line.grants.forEach(it => grants.set(it.id, { ...it, until: now + it.left_s * 1000 }));
    drawGrants();
  }
  draw();
}

function settle({ id, says }) {
  const was = waiting.get(id);
  if (!was) return;
  waiting.delete(id);
  const kind = says.startsWith("allowed") ? "yes" : says.startsWith("denied") ? "no" : "off";
  const time = new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  by("log").prepend(el("li", { class: kind }, el("span", { class: "what" }, el("bdi", {}, name(was))), el("span", { class: "says" }, says), el("time", {}, time)));
  while (by("log").children.length > 20) by("log").lastChild.remove();
  by("log-part").hidden = false;
  aloud(`${name(was)}: ${says}`);
  if (chosen?.id !== id) return;
  chosen = granting = null;
  // Answered here, the next one comes; otherwise somebody may be about to answer this one.
  settled = busy ? null : { ...was, says, kind };
}

// What is shown.

function draw() {
  const inDetail = by("detail").contains(document.activeElement);
  if (!settled && !waiting.has(chosen?.id)) chosen = null;
  if (!settled && !chosen && waiting.size) chosen = { id: waiting.keys().next().value, times: 0 };
  const focused = document.activeElement?.dataset?.id;
  by("list").replaceChildren(...[...waiting.values()].map(it => brief(it, it.id === chosen?.id, () => choose(it.id))));
  if (focused) by("list").querySelector(`[data-id="${CSS.escape(focused)}"]`)?.focus();
  by("waiting").classList.toggle("empty", !waiting.size && !settled);
  by("waiting-count").textContent = waiting.size;
  document.title = `${waiting.size ? `(${waiting.size}) ` : ""}Approvals · Stockade`;
  drawDetail(inDetail);
  tick();
}

function drawDetail(focus) {
  const it = waiting.get(chosen?.id);
  if (it && chosen.times === it.times && chosen.drawn) return;
  if (it) {
    // What is granted is answered for the calls that there were when that was begun.
    if (granting && chosen.drawn) return;
    Object.assign(chosen, { times: it.times, drawn: true, armed: performance.now() + ARM_MS });
    const wrong = el("p", { class: "wrong", role: "alert", id: "wrong" });
    by("detail").replaceChildren(...full(it).filter(part => part), el("footer", { class: "answer" }, wrong, buttons(it)));
    arm();
  } else if (settled) {
    by("detail").replaceChildren(el("div", { class: `outcome ${settled.kind}` },
      el("p", { class: "eyebrow" }, "It does not wait any more"),
      el("h2", { id: "question", tabindex: "-1" }, el("bdi", {}, name(settled))),
      el("p", {}, settled.says),
      el("button", { type: "button", class: "plain", onclick: () => { settled = null; draw(); by("question")?.focus(); } }, waiting.size ? "Show the next question" : "Close")));
  } else {
    const live = is === "live";
    by("detail").replaceChildren(el("div", { class: "nothing" },
      el("h2", { id: "question", tabindex: "-1" }, live ? "Nothing waits" : "Not connected"),
      el("p", {}, live ? "A call that your policy asks about appears here, and waits until somebody answers it. Without an answer in time it is denied." : "Nothing can be answered here now.")));
  }
  if (focus) by("question")?.focus();
}

function buttons(it) {
  const answer = approved => () => give(it, approved, null);
  return el("div", { class: "buttons", role: "group", "aria-label": "Answer" },
    el("button", { type: "button", class: "deny", id: "deny", "data-answers": "", onclick: answer(false) }, it.flood ? "Deny all" : it.times > 1 ? `Deny all ${it.times}` : "Deny"),
    el("button", { type: "button", class: "allow", id: "allow", "data-answers": "", onclick: answer(true) }, it.flood ? "Ask one by one" : it.times > 1 ? `Allow these ${it.times}` : "Allow once"),
    it.grant ? el("button", { type: "button", class: "plain", id: "always", "data-answers": "", onclick: () => always(it) }, "Allow from now on…") : null);
}

/** Has the buttons work once what stands beside them could be read. */
function arm() {
  const ready = () => is === "live" && !busy && chosen && performance.now() >= chosen.armed;
  const off = ready() ? null : "true";
  for (const it of document.querySelectorAll("[data-answers]")) {
    if (off) it.setAttribute("aria-disabled", off);
    else it.removeAttribute("aria-disabled");
  }
  return !off;
}

function always(it) {
  if (!arm()) return;
  const close = () => {
    granting = null;
    chosen.drawn = false;
    draw();
    by("always")?.focus();
  };
  granting = grant(it, bounds => give(it, true, bounds), close);
  granting.close = close;
  by("detail").querySelector(".answer").replaceChildren(granting.form);
  by("grant-title").focus();
  by("grant").scrollIntoView({ block: "nearest" });
}

function choose(id) {
  settled = granting = null;
  chosen = { id, times: 0 };
  draw();
  // It is read from its beginning, wherever the one before was.
  const { top } = by("detail").getBoundingClientRect();
  if (top < 0 || top > innerHeight / 2) by("detail").scrollIntoView();
  by("list").querySelector(`[data-id="${CSS.escape(id)}"]`)?.focus({ preventScroll: true });
}

async function give(it, approved, bounds) {
  if (!arm()) return;
  busy = true;
  arm();
  const body = { id: it.id, digest: it.digest, times: chosen.times, approved };
  const answer = await send("/api/answer", bounds ? { ...body, grant: bounds } : body);
  const said = answer?.headers.get("content-type") === "application/json" ? await answer.json() : null;
  if (said?.done) {
    settle({ id: it.id, says: said.done });
    granting = settled = null;
  }
  busy = false;
  draw();
  if (said?.done) return by("question")?.focus();
  const wrong = granting?.wrong ?? by("wrong");
  if (wrong) wrong.textContent = `It was not answered: ${said?.refused ?? "the service did not take it"}.`;
  arm();
}

function drawGrants() {
  const focused = document.activeElement?.dataset?.grant;
  by("grants-count").textContent = grants.size;
  const revoke = id => async () => {
    const answer = await send("/api/revoke", { id });
    const said = answer?.headers.get("content-type") === "application/json" ? await answer.json() : null;
    aloud(said?.done ?? said?.refused ?? "It was not revoked.");
    by("grants-title").focus();
  };
  const all = [...grants.values()].map(it => granted(it, revoke(it.id)));
  by("grant-list").replaceChildren(...all.length ? all : [el("li", { class: "nothing" }, el("p", {}, "Nothing is granted. “Allow from now on…” at a question does."))]);
  if (focused) by("grant-list").querySelector(`[data-grant="${CSS.escape(focused)}"]`)?.focus();
}

function show(which) {
  view = which;
  for (const it of ["waiting", "grants"]) {
    by(it).hidden = it !== which;
    if (it === which) by(`to-${it}`).setAttribute("aria-current", "page");
    else by(`to-${it}`).removeAttribute("aria-current");
  }
  if (which === "grants") by("grants-title").focus();
  tick();
}

function tick() {
  const now = performance.now();
  for (const it of document.querySelectorAll("[data-left]")) {
    const ms = (waiting.get(it.dataset.left)?.until ?? now) - now;
    const text = ms > 0 ? left(ms) : "over";
    if (it.textContent !== text) it.textContent = text;
    it.classList.toggle("soon", ms < 30_000);
  }
  for (const it of document.querySelectorAll("[data-ends]")) {
    const ms = (grants.get(it.dataset.ends)?.until ?? now) - now;
    it.textContent = ms > 0 ? long(ms / 1000) : "over";
  }
  arm();
}

by("to-waiting").addEventListener("click", () => show("waiting"));
by("to-grants").addEventListener("click", () => show("grants"));
by("list").addEventListener("keydown", event => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const ids = [...waiting.keys()];
  const to = ids[ids.indexOf(document.activeElement?.dataset?.id) + step];
  if (!step || !to) return;
  event.preventDefault();
  choose(to);
});
document.addEventListener("keydown", event => {
  if (event.key === "Escape") granting?.close();
  // A key that is held down says nothing of the question that has come meanwhile.
  if (event.repeat && event.target.closest?.("[data-answers]")) event.preventDefault();
});
addEventListener("hashchange", () => location.hash.length > 1 && location.reload());
setInterval(tick, 250);
draw();
drawGrants();
enter();
