// The console in a real browser: every page of it, with a server that has one of everything and says what
// would run in a page that took it for markup; on a wide and on a narrow screen, in light and in dark.
//
// Usage: STOCKADE=target/release/stockade tests/console/run.sh [--pictures DIR]

import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { chromium } from "playwright-core";

const { STOCKADE, SCREEN } = process.env;
const at = process.argv.indexOf("--pictures");
const PICTURES = at > 0 ? process.argv[at + 1] : null;
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const CHROMIUM = execFileSync("sh", ["-c", "command -v chromium"], { encoding: "utf8" }).trim();
const DIST = join(import.meta.dirname, "../../console/dist");
const SERVER = join(import.meta.dirname, "server.mjs");
const SCREENS = [
  { name: "wide", viewport: { width: 1280, height: 860 }, colorScheme: "light" },
  { name: "wide-dark", viewport: { width: 1280, height: 860 }, colorScheme: "dark" },
  { name: "narrow", viewport: { width: 390, height: 844 }, colorScheme: "light" },
  { name: "narrow-dark", viewport: { width: 390, height: 844 }, colorScheme: "dark" },
];
/** What a first load may be of scripts, compressed. */
const SCRIPT_BYTES_MAX = 600_000;

let checked = 0;
function must(holds, what, seen = "") {
  if (!holds) throw new Error(`${what}: ${JSON.stringify(seen)}`);
  checked += 1;
}

/** The program, or what stands in for it, with a server of its own. */
class Program {
  constructor(command, options = ["--sandbox", "none"], standIn = null) {
    this.home = mkdtempSync(join(tmpdir(), "stockade-console-"));
    const env = { PATH: process.env.PATH, HOME: this.home, ...standIn };
    this.child = STOCKADE && standIn === null
      ? spawn(STOCKADE, ["inspect", "--no-open", "--page", DIST, ...options, "--", ...command], { env, cwd: this.home })
      : spawn(process.execPath, [join(import.meta.dirname, "fake.mjs"), DIST, ...command], { env, cwd: this.home });
    this.stderr = "";
    this.child.stderr.on("data", it => { this.stderr += it; });
    this.ended = new Promise(done => this.child.once("exit", done));
    this.url = new Promise((done, fail) => {
      createInterface({ input: this.child.stdout }).once("line", done);
      this.ended.then(() => fail(new Error(`the program has ended: ${this.stderr}`)));
    });
    this.url.catch(() => {});
  }

  async end() {
    this.child.kill();
    await this.ended;
    rmSync(this.home, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** A page of the console, and what went wrong in it. */
async function open(browser, program, screen) {
  const context = await browser.newContext({ viewport: screen.viewport, colorScheme: screen.colorScheme, reducedMotion: "reduce" });
  context.setDefaultTimeout(20_000);
  const page = await context.newPage();
  page.wrong = [];
  page.asked = [];
  page.scripts = 0;
  page.on("pageerror", it => page.wrong.push(String(it)));
  page.on("console", it => it.type() === "error" && page.wrong.push(`${it.text()} (${JSON.stringify(it.location())})`));
  page.on("dialog", it => { page.wrong.push(`a dialog: ${it.message()}`); it.dismiss(); });
  page.on("request", it => page.asked.push(it.url()));
  const url = await program.url;
  await page.goto(url);
  await page.getByRole("heading", { name: "Servers", level: 1 }).waitFor();
  return page;
}

const go = (page, path) => page.evaluate(it => { location.hash = it; }, path);

async function looks(page, screen, picture) {
  const { name } = screen;
  const wide = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  must(wide[0] <= wide[1], `${name}, ${picture}: nothing is beside the screen`, wide);
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
  must(violations.length === 0, `${name}, ${picture}: WCAG`, violations.map(it => [it.id, it.nodes.map(node => [node.html.slice(0, 200), node.failureSummary])]));
  must(await page.evaluate(() => window.pwned) === undefined, `${name}, ${picture}: no script of the server ran`);
  must(await page.locator("main img[src='x'], main script, main b > i").count() === 0, `${name}, ${picture}: no text became markup`);
  must(!/[\u202e\u200b\u{e0000}-\u{e007f}]/u.test(await page.locator("main").innerText()), `${name}, ${picture}: what does not show itself is written out`);
  must(page.wrong.length === 0, `${name}, ${picture}: nothing went wrong in the page`, page.wrong);
  if (PICTURES) await page.screenshot({ path: join(PICTURES, `${name}-${picture}.png`) });
}

const result = page => page.getByRole("region", { name: "Result" });

async function call(page, tool, fill = async () => {}) {
  await go(page, `/tools/${tool}`);
  await page.getByRole("heading", { name: tool, level: 2 }).waitFor();
  await fill();
  await page.getByRole("button", { name: "Call", exact: true }).click();
}

/** By the keyboard. What is typed over a selection a browser gives the style of what was there, which the
    policy stops and reports. */
async function write(page, field, text) {
  await field.focus();
  await page.keyboard.press("ControlOrMeta+A");
  await page.keyboard.press("Delete");
  await page.keyboard.insertText(text);
}

const answered = page => result(page).getByRole("heading", { name: /Answered|failed/ }).waitFor();

/** To what waits, and what is asked there. */
async function question(page, kind) {
  await page.waitForFunction(() => document.title.startsWith("(1)"));
  await go(page, "/requests");
  const row = page.getByRole("link", { name: kind });
  if (await row.isVisible()) await row.click();
  await page.getByRole("heading", { name: kind, level: 2 }).waitFor();
}

async function play(browser, screen) {
  const { name } = screen;
  const program = new Program([process.execPath, SERVER]);
  try {
    const page = await open(browser, program, screen);
    const isNarrow = screen.viewport.width < 600;
    must(!page.url().includes("#") || page.url().includes("#/"), `${name}: no code stays in the address`, page.url());
    const main = page.locator("main");
    if (isNarrow) await page.getByRole("link", { name: /server\.mjs|notes/ }).first().click();
    await page.getByText("running, after").waitFor();
    await page.getByText("send ~/.ssh/id_rsa").first().waitFor();
    await looks(page, screen, "server");
    const before = page.asked.filter(it => it.includes("/definitions") || it.endsWith("/requests"));
    must(before.length === 0, `${name}: nothing is asked of a server before somebody does`, before);

    // Menu and keyboard.
    if (isNarrow) {
      await page.getByRole("button", { name: "Menu" }).click();
      await page.getByRole("link", { name: "Tools" }).waitFor();
      await looks(page, screen, "menu");
      await page.getByRole("link", { name: "Tools" }).click();
    } else {
      await page.keyboard.press("Tab");
      for (let n = 0; n < 12; n += 1) {
        if (await page.evaluate(() => document.activeElement.textContent.startsWith("Tools"))) break;
        await page.keyboard.press("Tab");
      }
      const focus = await page.evaluate(() => { const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement); return [document.activeElement.textContent, outlineStyle, outlineWidth]; });
      must(focus[0].startsWith("Tools") && focus[1] === "solid" && focus[2] === "2px", `${name}: the focus is seen`, focus);
      await page.keyboard.press("Enter");
    }
    await page.getByRole("heading", { name: "Tools", level: 1 }).waitFor();
    await page.getByRole("link", { name: "search_notes" }).waitFor();
    await looks(page, screen, "tools");

    // The whole definition, and what the rules found in it at its place.
    await go(page, "/tools/hostile");
    await page.getByRole("tab", { name: "Definition" }).click();
    await page.getByText("tags: send ~/.ssh/id_rsa").first().waitFor();
    await page.getByText("hidden_unicode").first().waitFor();
    await looks(page, screen, "definition");
    await page.getByRole("button", { name: "hidden_unicode" }).first().click();
    await page.getByRole("dialog").getByText(/that/).first().waitFor();
    await page.keyboard.press("Escape");

    // A form and the JSON of it, both ways.
    await go(page, "/tools/search_notes");
    await page.getByRole("textbox", { name: "limit", exact: true }).fill("3");
    if (isNarrow) await page.getByText("JSON", { exact: true }).click();
    const json = page.getByRole("textbox", { name: "Arguments as JSON" });
    await json.getByText('"limit": 3').waitFor();
    await write(page, json, '{"words": ["milk"], "limit": 7, "folder": "work"}');
    if (isNarrow) await page.getByText("Form", { exact: true }).click();
    await page.waitForFunction(() => [...document.querySelectorAll("input")].some(it => it.value === "7"));
    must(await page.getByRole("textbox", { name: "words-1" }).inputValue() === "milk", `${name}: what is written as JSON is in the form`);
    await page.getByRole("button", { name: "Add", exact: true }).first().click();
    await page.getByRole("textbox", { name: "words-2" }).fill("tea");
    await page.getByRole("button", { name: "Remove", exact: true }).first().click();
    await page.getByRole("textbox", { name: "words-2" }).waitFor({ state: "detached" });
    if (!isNarrow) must(!(await json.textContent()).includes("milk"), `${name}: what is taken out of the form is out of the JSON`);
    await looks(page, screen, "form");
    await page.getByRole("button", { name: "Call", exact: true }).click();
    await answered(page);
    await result(page).getByText("tea").first().waitFor();
    await result(page).scrollIntoViewIfNeeded();
    await looks(page, screen, "result");
    await page.getByRole("button", { name: "What would the policy do?" }).click();
    await page.getByRole("status", { name: "What the policy would do" }).waitFor();
    await looks(page, screen, "judged");
    await go(page, "/tools/make_shape");
    await page.getByRole("heading", { name: "make_shape", level: 2 }).waitFor();
    await page.getByText("radius").first().waitFor();
    await looks(page, screen, "shapes");

    // What fails, and what is no picture.
    await call(page, "fail");
    await result(page).getByRole("heading", { name: "The tool has failed" }).waitFor();
    await looks(page, screen, "failed");
    await call(page, "picture");
    await answered(page);
    must(await result(page).getByRole("img", { name: "What the server has sent" }).count() === 1, `${name}: a picture is one if its bytes are`);
    await result(page).scrollIntoViewIfNeeded();
    await looks(page, screen, "picture");

    // Progress, and no more of it.
    await call(page, "count", () => page.getByRole("textbox", { name: "to", exact: true }).fill("40"));
    await result(page).getByText(/Counting: [2-9]/).waitFor();
    await looks(page, screen, "progress");
    await result(page).getByRole("button", { name: "Cancel" }).click();
    await result(page).getByRole("heading", { name: "Cancelled" }).waitFor();

    // What the server asks.
    await call(page, "ask_model", () => page.getByRole("textbox", { name: "prompt", exact: true }).fill("Say something short."));
    await question(page, "Asks the model");
    await page.getByLabel("Text", { exact: true }).last().fill("Short.");
    await looks(page, screen, "sampling");
    await page.getByRole("button", { name: "Send the reply" }).click();
    await page.getByText("Nothing waits").or(page.getByText("It does not wait any more")).first().waitFor();
    await go(page, "/tools/ask_model");
    await result(page).getByText("Short.").first().waitFor();
    must((await result(page).innerText()).includes("stub-model"), `${name}: with the model that was said`);

    await call(page, "ask_person");
    await question(page, "Asks the person");
    await page.getByRole("textbox", { name: /Why/ }).first().fill("It is the sky’s.");
    await page.getByLabel(/Colour/).first().click();
    await page.getByRole("option", { name: "blue" }).click();
    await looks(page, screen, "elicitation");
    await page.getByRole("button", { name: "Send", exact: true }).click();
    await go(page, "/tools/ask_person");
    await result(page).getByText("blue").first().waitFor();

    await call(page, "open_page");
    await question(page, "Asks the person");
    await page.getByText("https://accounts.example.com/login?next=%2Fpay").first().waitFor();
    await looks(page, screen, "url");
    await page.getByRole("button", { name: "Decline" }).click();
    await go(page, "/tools/open_page");
    await result(page).getByText("decline").first().waitFor();

    await call(page, "ask_roots");
    await question(page, "Asks for roots");
    await page.getByRole("textbox", { name: "Address 1" }).fill("file:///srv/notes");
    await looks(page, screen, "roots");
    await page.getByRole("button", { name: "Send", exact: true }).click();
    await go(page, "/tools/ask_roots");
    await result(page).getByText("file:///srv/notes").first().waitFor();

    // Prompts and resources.
    await go(page, "/prompts/summarise");
    await page.getByRole("combobox", { name: "note" }).fill("to");
    await page.getByRole("option", { name: "tomorrow" }).click();
    await page.getByRole("button", { name: "Get", exact: true }).click();
    await result(page).getByText("Summarise the note tomorrow").waitFor();
    await looks(page, screen, "prompt");
    await go(page, "/resources");
    await page.getByRole("link", { name: "Today" }).waitFor();
    await page.getByRole("link", { name: "Today" }).click();
    await page.getByRole("button", { name: "Read", exact: true }).click();
    await result(page).getByText("Buy milk").waitFor();
    await page.getByRole("switch", { name: "Tell me when it changes" }).focus();
    await page.keyboard.press("Space");
    await page.waitForFunction(() => document.querySelector("input[role=switch]")?.checked);
    await call(page, "touch_note");
    await answered(page);
    await go(page, `/resources/read/${encodeURIComponent("note://today")}`);
    await page.getByText(/Changed once/).waitFor();
    await looks(page, screen, "resource");
    await go(page, `/resources/template/${encodeURIComponent("note://{folder}/{name}")}`);
    await page.getByRole("combobox", { name: "folder" }).fill("work");
    await page.getByRole("combobox", { name: "name" }).fill("a b");
    await page.getByText("note://work/a%20b").waitFor();
    await page.getByRole("button", { name: "Read", exact: true }).click();
    await result(page).getByText("Buy milk").waitFor();
    await looks(page, screen, "template");

    // The traffic.
    await go(page, "/traffic");
    await page.getByRole("link", { name: /tools\/call/ }).first().waitFor();
    await looks(page, screen, "traffic");
    await page.getByLabel("Search in the messages").fill("tomorrow");
    await page.waitForFunction(() => { const rows = [...document.querySelectorAll("[data-index]")]; return rows.length > 0 && rows.length < 14; });
    await page.getByRole("link", { name: /prompts\/get/ }).last().click();
    await page.getByRole("button", { name: "Replay", exact: true }).waitFor();
    await page.getByRole("button", { name: "Pin" }).click();
    await page.getByRole("button", { name: "Replay", exact: true }).click();
    await page.getByText("It was asked again.").waitFor();
    await page.getByRole("button", { name: "Edit and replay" }).click();
    await page.getByRole("textbox", { name: "Parameters" }).waitFor();
    await looks(page, screen, "message");

    // The logs, the findings, the guard.
    await go(page, "/logs");
    await page.getByText(/counted to/).first().waitFor();
    await looks(page, screen, "logs");
    await go(page, "/findings");
    await page.getByRole("link", { name: "hostile" }).waitFor();
    await looks(page, screen, "findings");
    await go(page, "/guard");
    await page.getByRole("combobox", { name: "Tool" }).click();
    await page.getByRole("option", { name: "hostile" }).click();
    await page.getByRole("button", { name: "Judge" }).click();
    await page.getByRole("status", { name: "What the policy would do" }).waitFor();
    await looks(page, screen, "guard");

    await go(page, "/ledger");
    await page.locator("main summary").first().waitFor();
    await page.getByRole("button", { name: "Verify" }).click();
    await page.getByRole("status").getByText("whole").first().waitFor();
    await looks(page, screen, "ledger");

    // Another server, by what some client's configuration says.
    await go(page, "/servers/new");
    await page.getByText("Paste", { exact: true }).click();
    await page.getByLabel("Configuration").fill(JSON.stringify({ mcpServers: { second: { command: process.execPath, args: [SERVER, "2000"], env: { KEY: "1" } } } }));
    await looks(page, screen, "paste");
    await page.getByRole("button", { name: "Use it" }).click();
    await page.getByRole("button", { name: "Environment" }).click();
    await page.getByRole("textbox", { name: "Variable 1" }).waitFor();
    await looks(page, screen, "add");
    await page.getByRole("button", { name: "See what would start" }).click();
    await page.getByRole("heading", { name: "Start this server?" }).waitFor();
    await looks(page, screen, "plan");
    await page.getByRole("button", { name: "Start it" }).click();
    await page.getByText("running, after").waitFor();

    // Two thousand tools, of which those that are seen are there.
    await go(page, "/tools");
    await page.getByRole("link", { name: "search_notes" }).waitFor();
    must(await page.locator("[data-index]").count() < 60, `${name}: of two thousand tools those that are seen are there`);
    await page.getByLabel("Search in tools").fill("tool_1999");
    await page.getByRole("link", { name: "tool_1999" }).waitFor();
    await page.getByLabel("Search in tools").fill("");
    await page.getByRole("link", { name: "search_notes" }).focus();
    await page.keyboard.press("End");
    await page.getByRole("link", { name: "tool_1999" }).waitFor();
    await looks(page, screen, "many");

    const origin = new URL(await program.url).origin;
    const elsewhere = page.asked.filter(it => !it.startsWith(origin) && !it.startsWith("data:") && !it.startsWith("blob:"));
    must(elsewhere.length === 0, `${name}: nothing is asked of anybody else`, elsewhere);
    // The other colours, when somebody wants them.
    if (isNarrow) await page.getByRole("button", { name: "Menu" }).click();
    const [dark, other] = screen.colorScheme === "dark" ? [true, "light"] : [false, "dark"];
    await page.getByRole("button", { name: `Switch to ${other}` }).click();
    await page.waitForFunction(it => document.documentElement.dataset.mantineColorScheme === it, other);
    await page.getByRole("button", { name: `Switch to ${dark ? "dark" : "light"}` }).click();
    if (isNarrow) await page.keyboard.press("Escape");
    must(page.wrong.length === 0, `${name}: nothing went wrong in the page`, page.wrong);

    // Its end is said.
    await program.end();
    await page.getByText("The program has ended").waitFor({ timeout: 30_000 });
    // That nobody answers is what a browser says by itself.
    page.wrong.length = 0;
    await looks(page, screen, "over");
    await page.context().close();
    return main;
  } catch (error) {
    if (PICTURES) for (const page of browser.contexts().flatMap(it => it.pages())) await page.screenshot({ path: join(PICTURES, `${name}-WRONG.png`) });
    throw error;
  } finally {
    if (program.child.exitCode === null && !program.child.killed) await program.end();
  }
}

/** The server that is built in, held by the sandbox, in either era. */
async function real(browser, era) {
  const program = new Program([STOCKADE, "example", "hardened"], ["--era", era]);
  const screen = { ...SCREENS[0], name: era };
  try {
    const page = await open(browser, program, screen);
    await page.getByText("running, after").waitFor();
    await page.getByText(/the sandbox enforces files, network/).first().waitFor();
    await page.getByText(era === "modern" ? "2026-07-28" : "2025-11-25").first().waitFor();
    await looks(page, screen, "hardened");
    await call(page, "query", async () => {
      await page.getByRole("textbox", { name: "sql" }).fill("SELECT name FROM customers ORDER BY name LIMIT 1");
    });
    await answered(page);
    await result(page).getByText('"rows"').first().waitFor();
    await looks(page, screen, "query");
    // What does not fit is said before it is sent, by the validator that judges calls.
    await go(page, "/tools/count_slowly");
    await page.getByRole("textbox", { name: "to", exact: true }).fill("500");
    await page.getByText(/maximum/).first().waitFor();
    await call(page, "count_slowly", () => page.getByRole("textbox", { name: "to", exact: true }).fill("3"));
    await answered(page);
    await call(page, "ask_user", async () => {
      const json = page.getByRole("textbox", { name: "Arguments as JSON" });
      if (await page.getByText("It takes no arguments.").isHidden()) await write(page, json, '{"question": "Which colour?"}');
    });
    await question(page, "Asks the person");
    await looks(page, screen, "ask");
    await page.getByRole("button", { name: "Decline" }).click();
    await go(page, "/tools/ask_user");
    await result(page).getByRole("heading").first().waitFor();
    await go(page, "/logs");
    await go(page, "/traffic");
    await page.getByRole("link", { name: /tools\/call/ }).first().waitFor();
    must(page.wrong.length === 0, `${era}: nothing went wrong in the page`, page.wrong);
    await page.context().close();
  } finally {
    await program.end();
  }
}

/** A hundred thousand messages, of the program's stand-in: what is seen of them is there, and the rest is
    read as somebody goes to it. */
async function long(browser) {
  const program = new Program([process.execPath, SERVER], [], { MESSAGES: "100000" });
  try {
    const page = await open(browser, program, SCREENS[0]);
    await go(page, "/traffic");
    await page.getByRole("link", { name: /tools\/call/ }).first().waitFor();
    const seen = await page.evaluate(async () => {
      const scroll = document.querySelector("ul[aria-label^=Messages]").parentElement;
      const frame = () => new Promise(done => requestAnimationFrame(done));
      const times = [];
      let rows = 0;
      const begun = performance.now();
      for (let n = 0; n < 20_000 && !scroll.querySelector('a[href="#/traffic/1"]'); n += 1) {
        const before = performance.now();
        scroll.scrollTop += 5000;
        await frame();
        times.push(performance.now() - before);
        rows = Math.max(rows, scroll.querySelectorAll("a").length);
      }
      times.sort((a, b) => a - b);
      return { rows, end: scroll.querySelector('a[href="#/traffic/1"]') !== null, ms: performance.now() - begun, frame: times[Math.floor(times.length * 0.95)], heap: performance.memory?.usedJSHeapSize };
    });
    must(seen.end, "the first of them is reached", seen);
    must(seen.rows < 100, "those that are seen are there", seen.rows);
    must(seen.frame < 250, "and it does not stand still", seen.frame);
    console.log(`      100,000 messages: to the first in ${Math.round(seen.ms / 1000)} s, 95 of 100 frames within ${Math.round(seen.frame)} ms, ${Math.round(seen.heap / 1e6)} MB`);
    must(page.wrong.length === 0, "nothing went wrong in the page", page.wrong);
    await page.context().close();
  } finally {
    await program.end();
  }
}

/** What is loaded before somebody does anything. */
async function light(browser) {
  const program = new Program([process.execPath, SERVER]);
  try {
    const context = await browser.newContext();
    const page = await context.newPage();
    const scripts = [];
    page.on("response", it => it.url().endsWith(".js") && scripts.push(it.url()));
    await page.goto(await program.url);
    await page.getByRole("heading", { name: "Servers", level: 1 }).waitFor();
    await page.waitForLoadState("load");
    await sleep(500);
    const { gzipSync } = await import("node:zlib");
    const bytes = scripts.reduce((sum, it) => sum + gzipSync(readFileSync(join(DIST, new URL(it).pathname))).length, 0);
    must(scripts.length > 0 && bytes < SCRIPT_BYTES_MAX, "the first load is small", bytes);
    console.log(`      first load: ${scripts.length} scripts, ${Math.round(bytes / 1000)} kB compressed`);
    const policy = (await (await fetch(await program.url)).headers.get("content-security-policy")) ?? "";
    must(/script-src 'self'(;|$)/.test(policy) && !policy.includes("unsafe"), "no script but the page's own files", policy);
    await context.close();
  } finally {
    await program.end();
  }
}

if (!existsSync(join(DIST, "index.html"))) throw new Error("the page is not built: make console");
if (PICTURES) mkdirSync(PICTURES, { recursive: true });
const browser = await chromium.launch({
  executablePath: CHROMIUM,
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests"],
});
let wrong = 0;
const all = [
  ["light", () => light(browser)],
  ...STOCKADE ? ["legacy", "modern"].map(era => [era, () => real(browser, era)]) : [],
  ["long", () => long(browser)],
  ...SCREENS.map(it => [it.name, () => play(browser, it)]),
];
for (const [what, played] of all) {
  if (SCREEN && what !== SCREEN) continue;
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
