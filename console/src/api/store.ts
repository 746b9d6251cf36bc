// What the page knows: told by the stream of events, and bounded.

import { create } from "zustand";
import { useShallow } from "zustand/react/shallow";
import { setHidden } from "../lib/visible.ts";
import { listen } from "./events.ts";
import { enter, get, leave, post } from "./http.ts";
import type {
  About,
  Answer,
  Held,
  Json,
  Line,
  Notification,
  Question,
  Replied,
  Server,
  Settled,
} from "./types.ts";

export type Link = "connecting" | "live" | "lost" | "out" | "over";

/** A log line, of whichever kind. */
export type Log = { at: number; server: string; n: number } & (
  | { from: "stderr" | "sandbox"; text: string }
  | { from: "message"; level: string; logger: string; data: unknown }
  | { from: "state"; text: string }
);

/** What was asked from this page. */
export interface Asked {
  request: string;
  server: string;
  method: string;
  params: Json | undefined;
  at: number;
}

interface Known {
  link: Link;
  over: string;
  about: About | null;
  servers: Server[];
  /** The server that the pages are about. */
  chosen: string | null;
  questions: Question[];
  settled: (Settled & { question: Question | undefined; at: number })[];
  asked: Asked[];
  answers: ReadonlyMap<string, Answer>;
  told: ReadonlyMap<string, Notification[]>;
  logs: Log[];
  updates: Notification[];
  replied: Replied[];
  /** The number of the last message of the traffic. */
  lastMessage: number;
  /** The notes of lists that have changed, so that what was listed is listed again. */
  changes: number;
}

const LOGS_MAX = 5000;
const ANSWERS_MAX = 500;
const TOLD_MAX = 200;
const SETTLED_MAX = 100;

export const useKnown = create<Known>(() => ({
  link: "connecting",
  over: "",
  about: null,
  servers: [],
  chosen: sessionStorage.getItem("stockade-server"),
  questions: [],
  settled: [],
  asked: [],
  answers: new Map(),
  told: new Map(),
  logs: [],
  updates: [],
  replied: [],
  lastMessage: 0,
  changes: 0,
}));

const set = useKnown.setState;

export function choose(server: string): void {
  sessionStorage.setItem("stockade-server", server);
  set({ chosen: server });
}

/** The server that the pages are about. */
export function useServer(): Server | null {
  return useKnown(it => it.servers.find(server => server.id === it.chosen) ?? it.servers[0] ?? null);
}

export function useQuestions(): Question[] {
  return useKnown(useShallow(it => it.questions));
}

/** Lets the page in, and hears what happens from then on. */
export async function begin(signal: AbortSignal): Promise<void> {
  if (!(await enter())) return set({ link: "out" });
  await listen(
    {
      event,
      state: link => {
        if (link === "out") leave();
        set({ link });
      },
    },
    signal,
  );
}

async function readAnew(): Promise<void> {
  const [about, { servers }, { questions }] = await Promise.all([
    get<About>("/api/about"),
    get<{ servers: Server[] }>("/api/servers"),
    get<{ questions: Question[] }>("/api/questions"),
  ]);
  setHidden(about.hidden);
  set(it => ({ about, servers, questions, changes: it.changes + 1 }));
  for (const server of servers) void readLogs(server.id);
}

async function readLogs(server: string): Promise<void> {
  const { stderr } = await get<{ stderr: { at: number; text: string }[] }>(
    `/api/servers/${server}/logs`,
  ).catch(() => ({
    stderr: [],
  }));
  set(it => {
    const known = new Set(
      it.logs.filter(log => log.server === server && log.from === "stderr").map(log => log.at),
    );
    const missing = stderr
      .filter(line => !known.has(line.at))
      .map((line): Log => ({ from: "stderr", server, n: numbered(), ...line }));
    return { logs: [...it.logs, ...missing].sort((a, b) => a.at - b.at).slice(-LOGS_MAX) };
  });
}

let logs = 0;

function numbered(): number {
  logs += 1;
  return logs;
}

function log(it: Known, line: Log): Log[] {
  const all = [...it.logs, line];
  return all.length > LOGS_MAX ? all.slice(-LOGS_MAX) : all;
}

/** What is done with each thing that is told. */
const EVENTS: Record<string, (data: never) => void> = {
  hello: ({ whole }: { whole: boolean }) => {
    if (!whole || !useKnown.getState().about) void readAnew();
  },
  server: (server: Server) => told(server),
  removed: ({ server }: { server: string }) =>
    set(it => ({ servers: it.servers.filter(each => each.id !== server) })),
  answer: (answer: Answer) =>
    set(it => ({ answers: bounded(it.answers, answer.request, answer, ANSWERS_MAX) })),
  notification: (it: Notification) => notified(it),
  stderr: ({ server, at, text }: Line) =>
    set(it => ({ logs: log(it, { from: "stderr", server, at, text, n: numbered() }) })),
  question: (question: Question) =>
    set(it => ({ questions: [...it.questions.filter(each => each.id !== question.id), question] })),
  settled: (settled: Settled) =>
    set(it => {
      const question = it.questions.find(each => each.id === settled.id);
      return {
        questions: it.questions.filter(each => each.id !== settled.id),
        settled: [{ ...settled, question, at: Date.now() }, ...it.settled].slice(0, SETTLED_MAX),
      };
    }),
  message: ({ n }: { n: number }) => set({ lastMessage: n }),
  replied: (replied: Replied) => set(it => ({ replied: [replied, ...it.replied].slice(0, SETTLED_MAX) })),
  touched: (it: Held) => held(it, `${it.tool ? `${it.tool}: ` : ""}${it.says ?? JSON.stringify(it.touched)}`),
  egress: (it: Held) =>
    held(it, `${it.decision ?? ""} ${it.destination ?? ""}${it.says ? `: ${it.says}` : ""}`.trim()),
  over: ({ why }: { why: string }) => set({ link: "over", over: why }),
};

function event(name: string, data: unknown): void {
  EVENTS[name]?.(data as never);
}

function held({ server, at }: Held, text: string): void {
  set(it => ({ logs: log(it, { from: "sandbox", server, at, text, n: numbered() }) }));
}

function told(server: Server): void {
  set(it => {
    const before = it.servers.find(each => each.id === server.id);
    const servers = before
      ? it.servers.map(each => (each.id === server.id ? server : each))
      : [...it.servers, server];
    if (before?.state === server.state) return { servers };
    const text = server.why ? `${server.state}: ${server.why}` : server.state;
    return {
      servers,
      changes: it.changes + 1,
      logs: log(it, { from: "state", server: server.id, at: Date.now(), text, n: numbered() }),
    };
  });
}

function notified(it: Notification): void {
  if (it.method === "notifications/message") {
    const { level, logger, data } = it.params ?? {};
    set(known => ({
      logs: log(known, {
        from: "message",
        server: it.server,
        at: it.at,
        level: String(level ?? "info"),
        logger: String(logger ?? ""),
        data,
        n: numbered(),
      }),
    }));
  }
  if (it.method.endsWith("/list_changed")) set(known => ({ changes: known.changes + 1 }));
  if (it.method === "notifications/resources/updated") {
    set(known => ({ updates: [it, ...known.updates].slice(0, 200) }));
  }
  if (it.request) {
    const { request } = it;
    set(known => ({
      told: bounded(
        known.told,
        request,
        [...(known.told.get(request) ?? []), it].slice(-TOLD_MAX),
        ANSWERS_MAX,
      ),
    }));
  }
}

/** A map with one more in it, and not more than `most`. */
function bounded<T>(map: ReadonlyMap<string, T>, key: string, value: T, most: number): Map<string, T> {
  const next = new Map(map);
  next.set(key, value);
  for (const oldest of next.keys()) {
    if (next.size <= most) break;
    next.delete(oldest);
  }
  return next;
}

export interface AskOptions {
  meta?: Json;
  timeout?: number;
}

/** Asks a server for something. The answer comes as an event. */
export async function ask(
  server: string,
  method: string,
  params?: Json,
  options: AskOptions = {},
): Promise<string> {
  const { request } = await post<{ request: string }>(`/api/servers/${server}/requests`, {
    method,
    ...(params ? { params } : {}),
    ...options,
  });
  set(it => ({ asked: [{ request, server, method, params, at: Date.now() }, ...it.asked].slice(0, 200) }));
  return request;
}

/** Asks, and waits for the answer: for what is shown nowhere while it runs. */
export async function answered(server: string, method: string, params?: Json): Promise<Answer> {
  const request = await ask(server, method, params);
  return new Promise(done => {
    const look = () => {
      const answer = useKnown.getState().answers.get(request);
      if (!answer) return;
      stop();
      done(answer);
    };
    const stop = useKnown.subscribe(look);
    look();
  });
}

export const cancel = (server: string, request: string) =>
  post(`/api/servers/${server}/requests/${request}/cancel`, {
    reason: "The person at the console has cancelled it.",
  });
