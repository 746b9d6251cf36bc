// The approvals page in a real browser: what a person sees of a question, and answers to it, by the
// keyboard alone, on a wide and on a narrow screen, in light and in dark. What reaches the server is
// written down behind the guard.
//
// Usage: STOCKADE=target/release/stockade tests/page/run.sh [--pictures DIR]

import { execFileSync, spawn } from "node:child_process";
import { createServer } from "node:http";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { chromium } from "playwright-core";

const { STOCKADE } = process.env;
const at = process.argv.indexOf("--pictures");
const PICTURES = at > 0 ? process.argv[at + 1] : null;
const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const CHROMIUM = execFileSync("sh", ["-c", "command -v chromium"], { encoding: "utf8" }).trim();
const SCREENS = [
  { name: "wide", viewport: { width: 1280, height: 860 }, colorScheme: "light" },
  { name: "wide-dark", viewport: { width: 1280, height: 860 }, colorScheme: "dark" },
  { name: "narrow", viewport: { width: 390, height: 844 }, colorScheme: "light" },
  { name: "narrow-dark", viewport: { width: 390, height: 844 }, colorScheme: "dark" },
];
const HOSTILE = { to: "ann@example.com</pre><script>window.pwned=1</script>", body: "Hello\u202e\u200b dear <b>friend</b>, ‮שלום \"quoted\" \\u0041", urgent: true };
const POLICY = `
default = "allow"
[[tools]]
effect = "ask"
tool = ["send_*", "write_*"]
[rules]
hidden_unicode = "ask"
tool_poisoning = "allow"
prompt_injection = "allow"
[limits]
calls_per_minute = 10000
calls_per_minute_per_tool = 10000
calls_burst = 1000
calls_in_flight_max = 1000
`;

let checked = 0;
function must(holds, what, seen = "") {
  if (!holds) throw new Error(`${what}: ${JSON.stringify(seen)}`);
  checked += 1;
}

async function until(what, found) {
  for (let n = 0; n < 300; n += 1) {
    const it = await found();
    if (it) return it;
    await sleep(50);
  }
  throw new Error(`waited for ${what}`);
}

/** A directory of its own, with a guard and a server, and a client of them. */
class Guarded {
  constructor() {
    this.home = mkdtempSync(join(tmpdir(), "stockade-page-"));
    this.log = join(this.home, "heard");
    this.state = join(this.home, "state");
    writeFileSync(this.log, "");
    mkdirSync(this.state);
    writeFileSync(join(this.home, "policy.toml"), POLICY);
    this.env = { PATH: process.env.PATH, HOME: this.home };
    const options = ["run", "--policy", join(this.home, "policy.toml"), "--state", this.state, "--sandbox", "none"];
    const server = [process.execPath, join(import.meta.dirname, "server.mjs"), this.log];
    this.child = spawn(STOCKADE, [...options, "--", ...server], { env: this.env, stdio: ["pipe", "pipe", "pipe"] });
    this.stderr = "";
    this.child.stderr.on("data", it => { this.stderr += it; });
    this.waits = new Map();
    this.ids = 0;
    createInterface({ input: this.child.stdout }).on("line", line => {
      const answer = JSON.parse(line);
      this.waits.get(answer.id)?.(answer);
    });
  }

  ask(method, params) {
    const id = this.ids += 1;
    this.child.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", id, method, params })}\n`);
    return new Promise(done => this.waits.set(id, done));
  }

  async begin() {
    const clientInfo = { name: "Test <i>client</i>", version: "1" };
    await this.ask("initialize", { protocolVersion: "2025-11-25", capabilities: {}, clientInfo });
    this.child.stdin.write('{"jsonrpc":"2.0","method":"notifications/initialized"}\n');
    await this.ask("tools/list", {});
    return this;
  }

  call(name, args) {
    return this.ask("tools/call", { name, arguments: args });
  }

  heard() {
    return readFileSync(this.log, "utf8").split("\n").filter(it => it).map(it => JSON.parse(it));
  }

  approvals(...words) {
    return execFileSync(STOCKADE, ["approvals", ...words, "--state", this.state], { env: this.env, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  }

  waiting() {
    return JSON.parse(this.approvals("list", "--format", "json"));
  }

  async end() {
    const ended = new Promise(done => this.child.once("exit", done));
    this.child.stdin.end();
    await ended;
    rmSync(this.home, { recursive: true, force: true, maxRetries: 5 });
  }
}

const passed = answer => answer.error === undefined && answer.result?.isError !== true;

/** A tab, and what went wrong in it. */
async function tab(context) {
  const page = await context.newPage();
  page.wrong = [];
  page.on("pageerror", it => page.wrong.push(String(it)));
  page.on("console", it => it.type() === "error" && page.wrong.push(it.text()));
  page.on("dialog", it => { page.wrong.push(`a dialog: ${it.message()}`); it.dismiss(); });
  return page;
}

async function looks(page, name, picture) {
  const wide = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  must(wide[0] <= wide[1], `${name}: nothing is beside the screen`, wide);
  await page.evaluate(readFileSync(AXE, "utf8"));
  const { violations } = await page.evaluate(() => axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
  must(violations.length === 0, `${name}: WCAG`, violations.map(it => [it.id, it.nodes.map(node => [node.html.slice(0, 200), node.failureSummary])]));
  if (PICTURES) await page.screenshot({ path: join(PICTURES, `${name}-${picture}.png`), fullPage: picture.endsWith("full") });
}

/** Goes by the tabulator to what is called so, and presses Enter. */
async function press(page, label, key = "Enter") {
  await until(`${label} to be ready`, () => page.evaluate(() => !document.querySelector("[data-answers][aria-disabled]")));
  for (let n = 0; n < 60; n += 1) {
    await page.keyboard.press("Tab");
    const on = await page.evaluate(() => {
      const it = document.activeElement;
      const { outlineStyle, outlineWidth } = getComputedStyle(it);
      return { tag: it.tagName, name: it.getAttribute("aria-label") ?? it.textContent, outlineStyle, width: parseFloat(outlineWidth) };
    });
    // Behind the last comes the page as a whole.
    if (on.tag !== "BUTTON" || !on.name.includes(label)) continue;
    must(on.outlineStyle === "solid" && on.width >= 2, `${label}: the focus is seen`, on);
    return key && page.keyboard.press(key);
  }
  throw new Error(`the tabulator does not lead to “${label}”`);
}

async function play(browser, screen) {
  const guarded = await new Guarded().begin();
  const context = await browser.newContext({ viewport: screen.viewport, colorScheme: screen.colorScheme, reducedMotion: "reduce" });
  const { name } = screen;
  try {
    const page = await tab(context);
    const url = guarded.approvals("open", "--no-open").trim();
    await page.goto(url);
    await page.getByText("Nothing waits").waitFor();
    must(page.url() === new URL("/", url).href, `${name}: no code stays in the address`, page.url());
    await looks(page, name, "nothing");
    await page.reload();
    await page.getByText("Nothing waits").waitFor();

    // A question, in all of its parts, and nothing in it that runs.
    let answer = guarded.call("send_message", HOSTILE);
    await page.getByRole("heading", { name: "send_message" }).waitFor();
    const detail = page.locator("#detail");
    const text = await detail.innerText();
    for (const seen of ['"ann@example.com</pre><script>window.pwned=1</script>"', "Hello\\u202e\\u200b dear <b>friend</b>", "</article><h1>Allowed</h1>", "<img src=x onerror=", "Client says it is", "<i>client</i>", "tools[0]", "started as", "hidden_unicode"]) {
      must(text.includes(seen), `${name}: it is shown: ${seen}`, text);
    }
    must(!/[\u202e\u200b]/.test(text), `${name}: what does not show itself is written out`);
    must(await detail.locator("img, script, b, i, h1").count() === 0, `${name}: no text became markup`);
    must(await detail.locator("mark").count() >= 2, `${name}: and is marked`);
    must(await page.evaluate(() => window.pwned) === undefined, `${name}: no script ran`);
    must(await page.title() === "(1) Approvals · Stockade", `${name}: the title says that something waits`);
    await page.locator("#allow:not([aria-disabled])").waitFor();
    await looks(page, name, "question");
    if (PICTURES) await page.screenshot({ path: join(PICTURES, `${name}-question-full.png`), fullPage: true });
    must(guarded.heard().length === 0, `${name}: it has not been sent`);
    await press(page, "Allow once");
    must(passed(await answer), `${name}: allowed by the keyboard`);
    must(JSON.stringify(guarded.heard()[0].arguments) === JSON.stringify(HOSTILE), `${name}: as it was`, guarded.heard());
    await page.getByText("Nothing waits").waitFor();
    must(await page.evaluate(() => document.activeElement.id) === "question", `${name}: the focus is where the next one comes`);

    // A no; and a click that was for something else.
    answer = guarded.call("write_file", { path: "/home/ann/notes/today.md", content: "x" });
    await page.locator("#allow").evaluate(it => it.click());
    await sleep(300);
    must(guarded.waiting().length === 1, `${name}: what was clicked before it could be read is no answer`);
    await press(page, "Deny");
    must(!passed(await answer), `${name}: denied by the keyboard`);

    // From now on, with another bound.
    answer = guarded.call("write_file", { path: "/home/ann/notes/today.md", content: "x" });
    await page.getByRole("heading", { name: "write_file" }).waitFor();
    await press(page, "Allow from now on");
    must(await page.evaluate(() => document.activeElement.id) === "grant-title", `${name}: the focus is in the form`);
    await page.getByLabel("path", { exact: true }).focus();
    await page.keyboard.press("ArrowDown");
    must(await page.getByLabel("directory").inputValue() === "/home/ann/notes", `${name}: a directory is proposed`);
    await page.getByLabel("content", { exact: true }).focus();
    await page.keyboard.press("End");
    await page.getByLabel("For", { exact: true }).selectOption("1 hour");
    await looks(page, name, "grant-full");
    await press(page, "Allow this and the like of it");
    must(passed(await answer), `${name}: granted`);
    must(passed(await guarded.call("write_file", { path: "/home/ann/notes/other.md", content: "y" })), `${name}: within the bounds nobody is asked`);
    await press(page, "Standing grants");
    await page.getByText('a path within "/home/ann/notes"').waitFor();
    await looks(page, name, "grants");
    await press(page, "Revoke the grant");
    await page.getByText("Nothing is granted").waitFor();
    answer = guarded.call("write_file", { path: "/home/ann/notes/other.md", content: "y" });
    await press(page, "Waiting");
    await page.getByRole("heading", { name: "write_file" }).waitFor();

    // Answered elsewhere, it is not answered here; and the next one is chosen by the arrows.
    guarded.approvals("deny", guarded.waiting()[0].id);
    must(!passed(await answer), `${name}: denied elsewhere`);
    await page.getByText("It does not wait any more").waitFor();
    if (PICTURES) await page.screenshot({ path: join(PICTURES, `${name}-elsewhere.png`) });
    await press(page, "Close");
    const calls = [1, 2, 3, 4, 5].map(() => guarded.call("send_message", { to: "same" }));
    await page.getByRole("button", { name: "Allow these 5" }).waitFor();
    const other = guarded.call("write_file", { path: "/a", content: "x".repeat(5000) });
    await page.locator(".item").nth(1).waitFor();
    await page.locator(".item").first().focus();
    await page.keyboard.press("ArrowDown");
    await page.getByRole("heading", { name: "write_file" }).waitFor();
    must((await detail.innerText()).includes("x".repeat(5000)), `${name}: nothing is cut`);
    await page.keyboard.press("ArrowUp");
    await page.locator("#allow:not([aria-disabled])").waitFor();
    await looks(page, name, "five");
    await press(page, "Deny all 5");
    must((await Promise.all(calls)).every(it => !passed(it)), `${name}: one answer for all that say the same`);
    await page.getByRole("heading", { name: "write_file" }).waitFor();
    await press(page, "Deny");
    must(!passed(await other), `${name}: and the next comes`);

    // A code is good for one tab.
    const late = await tab(context);
    await late.goto(url);
    await late.getByText("This page is not let in.").waitFor();
    await looks(late, name, "out");
    await late.close();

    // The file that a started browser is given leads to the page.
    guarded.approvals("open", "--no-open");
    const file = join(guarded.state, "approvals/open.html");
    const led = await tab(context);
    await led.goto(`file://${file}`);
    await led.getByText("Nothing waits").waitFor();
    must(!existsSync(file), `${name}: it is gone when it was used`);
    must(led.wrong.length === 0, `${name}: nothing went wrong in it`, led.wrong);
    await led.close();

    // The end of the service is the end of what waits, and is said.
    answer = guarded.call("send_message", { to: "last" });
    await page.getByRole("heading", { name: "send_message" }).waitFor();
    const wrong = page.wrong.splice(0);
    must(wrong.length === 0, `${name}: nothing went wrong in the page`, wrong);
    const [pid] = execFileSync("pgrep", ["-f", `approvals service --stay --state ${guarded.state}`], { encoding: "utf8" }).split("\n");
    process.kill(Number(pid), "SIGKILL");
    must(!passed(await answer), `${name}: what waited is denied`);
    await page.getByText("The service has ended.").waitFor({ timeout: 20000 });
    must(await page.locator("#allow").count() === 0, `${name}: nothing is there to be answered`);
    await looks(page, name, "ended");
    await page.close();

    // A flood, at another service.
    const next = await tab(context);
    await next.goto(guarded.approvals("open", "--no-open").trim());
    await next.getByText("Nothing waits").waitFor();
    const flood = Array.from({ length: 40 }, (_, n) => guarded.call("send_message", { to: `n${n}` }));
    await next.getByText("flood of").waitFor();
    await next.locator(".item").last().click();
    await next.getByText("more than anybody reads").waitFor();
    await next.locator("#allow:not([aria-disabled])").waitFor();
    await looks(next, name, "flood");
    await press(next, "Deny all");
    must((await Promise.all(flood)).every(it => !passed(it)), `${name}: a flood is denied as one`);
    must(next.wrong.length === 0, `${name}: nothing went wrong in that page`, next.wrong);
    must(guarded.heard().length === 3, `${name}: nothing else has reached the server`, guarded.heard());
  } finally {
    await context.close();
    await guarded.end();
  }
}

/** What a page of another origin gets of this one. */
async function attack(browser) {
  const guarded = await new Guarded().begin();
  const context = await browser.newContext();
  const url = new URL(guarded.approvals("open", "--no-open").trim());
  const other = createServer((request, response) => {
    response.setHeader("content-type", "text/html");
    response.end(`<!doctype html><iframe id=f src="${url.origin}/"></iframe>`);
  }).listen(0, "127.0.0.1");
  try {
    await until("a listener", () => other.address());
    const page = await context.newPage();
    await page.goto(url.href);
    await page.getByText("Nothing waits").waitFor();
    const call = guarded.call("send_message", { to: "x" });
    await page.getByRole("heading", { name: "send_message" }).waitFor();
    const token = await page.evaluate(() => sessionStorage.getItem("stockade-token"));
    const evil = await context.newPage();
    await evil.goto(`http://127.0.0.1:${other.address().port}/`);
    const frame = await (await evil.waitForSelector("#f")).contentFrame();
    must(!(await frame.content()).includes("Stockade"), "it is in no frame");
    const [question] = guarded.waiting();
    const body = JSON.stringify({ id: question.id, digest: question.asked.question.digest, times: 1, approved: true });
    const tried = await evil.evaluate(async ({ origin, body, token }) => {
      const tries = [
        { headers: { "content-type": "application/json", authorization: `Bearer ${token}` } },
        { headers: { "content-type": "text/plain" }, mode: "no-cors" },
        { headers: { "content-type": "text/plain", authorization: `Bearer ${token}` } },
      ];
      const went = tries.map(it => fetch(`${origin}/api/answer`, { method: "POST", body, ...it }).then(it => `${it.type} ${it.status}`, it => `failed: ${it}`));
      return [...await Promise.all(went), sessionStorage.length, document.cookie];
    }, { origin: url.origin, body, token });
    must(tried[0].startsWith("failed") && tried[2].startsWith("failed") && !/ 200$/.test(tried[1]), "and hears no other page, token or not", tried);
    must(guarded.waiting().length === 1, "so the question still waits");
    guarded.approvals("deny", question.id);
    must(!passed(await call), "until somebody answers it");
  } finally {
    await context.close();
    other.close();
    await guarded.end();
  }
}

if (PICTURES) mkdirSync(PICTURES, { recursive: true });
const browser = await chromium.launch({
  executablePath: CHROMIUM,
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests"],
});
let wrong = 0;
const only = process.env.SCREEN;
for (const [what, played] of [...SCREENS.map(it => [it.name, () => play(browser, it)]), ["another page", () => attack(browser)]]) {
  if (only && what !== only) continue;
  const before = checked;
  try {
    await played();
    console.log(`ok    ${what}: ${checked - before} things hold`);
  } catch (error) {
    wrong += 1;
    console.log(`WRONG ${what}: ${error.stack}`);
  }
}
await browser.close();
process.exit(wrong ? 1 : 0);
