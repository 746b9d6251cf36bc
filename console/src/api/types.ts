// What the program says, as `console/API.md` has it. A field that does not apply is left out.

export type Json = Record<string, unknown>;

export interface About {
  version: string;
  page: string;
  policy: { file?: string; servers: string[] };
  revisions: string[];
  /** Code points that a person would not see, in ranges. */
  hidden: [number, number][];
  keep: boolean;
}

export type State = "planned" | "starting" | "ready" | "ended" | "failed";

export interface Root {
  uri: string;
  name?: string;
}

/** What a server says it is. */
export interface Info {
  name?: string;
  title?: string;
  version?: string;
}

/** Its answer to `initialize`, or to `server/discover`. */
export interface Begun {
  protocolVersion?: string;
  supportedVersions?: string[];
  capabilities?: Json;
  serverInfo?: Info;
  instructions?: string;
  _meta?: Json;
}

export interface Server {
  id: string;
  label: string;
  state: State;
  transport: "stdio" | "http";
  command?: string[];
  url?: string;
  spec?: Json;
  plan?: string;
  confirm?: string;
  held?: string;
  era?: string;
  revision?: string;
  begun?: Begun;
  declared?: Json;
  answers?: Json;
  roots?: Root[];
  why?: string;
  startedAt?: number;
  readyMs?: number;
  running?: number;
  questions?: number;
}

export interface SandboxOptions {
  how?: string;
  image?: string;
  roots?: string[];
  net?: string[];
  memory?: string;
  cpus?: string;
  pids?: number;
  secrets?: string[];
  allowWeaker?: string[];
  programs?: string[];
  trace?: boolean;
}

/** What is said of a server, for it to be started. */
export interface Spec {
  command?: string[];
  url?: string;
  name?: string;
  label?: string;
  era?: string;
  env?: Record<string, string>;
  passEnv?: string[];
  headers?: Record<string, string>;
  meta?: Json;
  timeout?: number;
  total?: number;
  capabilities?: Json;
  roots?: Root[];
  answers?: Json;
  sandbox?: SandboxOptions;
  consent?: boolean;
}

export interface RpcError {
  code: number;
  message: string;
  data?: unknown;
}

export interface Answer {
  server: string;
  request: string;
  at: number;
  ms?: number;
  message?: number;
  bytes?: number;
  result?: Json;
  error?: RpcError;
  cancelled?: boolean;
  timeout?: boolean;
  lost?: string;
  /** The result is longer than an event: it is read from the traffic. */
  long?: boolean;
}

export interface Notification {
  server: string;
  at: number;
  method: string;
  params?: Json;
  message?: number;
  request?: string;
}

export interface Line {
  server: string;
  at: number;
  text: string;
}

export interface Question {
  id: string;
  server: string;
  at: number;
  kind: "elicitation" | "sampling" | "roots" | "approval" | "other";
  method: string;
  params?: Json;
  request?: string;
  message?: number;
}

export interface Settled {
  id: string;
  by: string;
}

export interface Brief {
  n: number;
  server: string;
  at: number;
  from: "client" | "server" | "guard";
  to?: "client" | "server" | "guard";
  kind: "request" | "result" | "error" | "notification" | "batch" | "garbled";
  method?: string;
  id?: string | number | null;
  request?: string;
  bytes: number;
  ms?: number;
  done?: "mended" | "denied" | "asked";
  findings?: number;
  worst?: string;
  violation?: boolean;
}

export interface Finding {
  rule: string;
  severity: string;
  place?: string;
  says: string;
  action?: string;
  name?: boolean;
}

/** A record of the ledger: what is always looked at, and whatever else it has. */
export interface Rec {
  kind: string;
  tool?: string;
  method?: string;
  server?: string;
  rule?: string;
  decision?: string;
  says?: string;
  findings?: Finding[];
}

export interface Message extends Brief {
  text?: string;
  base64?: string;
  sent?: string;
  records?: Rec[];
  http?: {
    method?: string;
    target?: string;
    headers?: [string, string][];
    status?: number;
    answerHeaders?: [string, string][];
  };
}

export interface Page {
  first: number;
  last: number;
  total: number;
  dropped: number;
  messages: Brief[];
  /** Where to go on, if not all was looked through. */
  next?: number;
}

export interface LedgerPage {
  records: { at: string; segment: string; seq: number; open?: boolean; record: Rec }[];
  damaged: number;
}

export interface Change {
  place: string;
  class: string;
  was?: unknown;
  is?: unknown;
}

export type PartName = "identity" | "instructions" | "tool" | "prompt" | "resource" | "template";

export interface Item {
  part: PartName;
  name: string;
  raw?: Json;
  seen?: Json;
  withheld?: boolean;
  text?: string;
  findings?: Finding[];
  difference?: { class: string; changes?: Change[] };
}

export interface Definitions {
  at: number;
  lists: Record<string, string>;
  lock: { file?: string; state: "none" | "same" | "differs" };
  items: Item[];
}

/** A question that was answered without a person, and by what. */
export interface Replied {
  server: string;
  at: number;
  method: string;
  params?: Json;
  entry: string;
  result?: Json;
  error?: RpcError;
}

/** What the sandbox has to say: what was touched, or whom the server's process was connected to. */
export interface Held {
  server: string;
  at: number;
  says?: string;
  tool?: string | null;
  destination?: string;
  decision?: string;
  touched?: Record<string, unknown[]>;
}

export type QuestionAnswer =
  | { action: "accept"; content?: Json }
  | { action: "decline" | "cancel" | "approve" | "deny" }
  | { result: Json }
  | { error: { code: number; message: string } };
