// What the page knows: told by the stream of events, and bounded.

import { create } from "zustand";
import { useShallow } from "zustand/react/shallow";
import { setHidden } from "../lib/visible.ts";
import { listen } from "./events.ts";
import { enter, get, leave, post } from "./http.ts";
import type { About, Answer, Json, Line, Notification, Question, Server, Settled, Touched } from "./types.ts";

export type Link = "connecting" | "live" | "lost" | "out" | "over";

/** A log line, of whichever kind. */
export type Log = { at: number; server: string; n: number } & (
  | { from: "stderr"; text: string }
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
  touched: Touched[];
  /** The number of the last message of the traffic. */
  lastMessage: number;
  /** The notes of lists that have changed, so that what was listed is listed again. */
  changes: number;
}

const LOGS_MAX = 5000;
const ANSWERS_MAX = 500;
const TOLD_MAX = 200;

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
  touched: [],
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
      .map((line): Log => ({ from: "stderr", server, n: (logs += 1), ...line }));
    return { logs: [...it.logs, ...missing].sort((a, b) => a.at - b.at).slice(-LOGS_MAX) };
  });
}

let logs = 0;

function log(it: Known, line: Log): Log[] {
  const all = [...it.logs, line];
  return all.length > LOGS_MAX ? all.slice(-LOGS_MAX) : all;
}

function event(name: string, data: unknown): void {
  switch (name) {
    case "hello":
      if (!(data as { whole: boolean }).whole || !useKnown.getState().about) void readAnew();
      return;
    case "server":
      return told(data as Server);
    case "removed":
      return set(it => ({
        servers: it.servers.filter(server => server.id !== (data as { server: string }).server),
      }));
    case "answer": {
      const answer = data as Answer;
      return set(it => ({ answers: bounded(it.answers, answer.request, answer, ANSWERS_MAX) }));
    }
    case "notification":
      return notified(data as Notification);
    case "stderr": {
      const { server, at, text } = data as Line;
      return set(it => ({ logs: log(it, { from: "stderr", server, at, text, n: (logs += 1) }) }));
    }
    case "question": {
      const question = data as Question;
      return set(it => ({ questions: [...it.questions.filter(each => each.id !== question.id), question] }));
    }
    case "settled": {
      const settled = data as Settled;
      return set(it => ({
        questions: it.questions.filter(each => each.id !== settled.id),
        settled: [
          { ...settled, question: it.questions.find(each => each.id === settled.id), at: Date.now() },
          ...it.settled,
        ].slice(0, 100),
      }));
    }
    case "message":
      return set({ lastMessage: (data as { n: number }).n });
    case "touched":
      return set(it => ({ touched: [...it.touched, data as Touched].slice(-1000) }));
    case "over":
      return set({ link: "over", over: (data as { why: string }).why });
  }
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
      logs: log(it, { from: "state", server: server.id, at: Date.now(), text, n: (logs += 1) }),
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
        n: (logs += 1),
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
