// How the program is asked. The token is in this tab alone, and in no address and no cookie.

const TOKEN = "stockade-console";

/** What the program did not do, in its words. */
export class Refused extends Error {
  readonly status: number;
  readonly help: string;

  constructor(status: number, says: string, help = "") {
    super(says);
    this.status = status;
    this.help = help;
  }
}

/** Exchanges the code in the address for the token of this run. Says whether there is one. */
export async function enter(): Promise<boolean> {
  const code = location.hash.slice(1);
  // A route begins with a stroke, and a code does not.
  if (code && !code.startsWith("/")) {
    // It is good once, and stays in no address.
    history.replaceState(null, "", "/");
    const answer = await send("POST", "/api/enter", { code }).catch(() => null);
    if (answer?.ok) {
      const { token } = (await answer.json()) as { token: string };
      sessionStorage.setItem(TOKEN, token);
    }
  }
  return sessionStorage.getItem(TOKEN) !== null;
}

export function leave(): void {
  sessionStorage.removeItem(TOKEN);
}

export function headers(): Record<string, string> {
  return { authorization: `Bearer ${sessionStorage.getItem(TOKEN) ?? ""}` };
}

async function send(method: string, path: string, body?: unknown): Promise<Response> {
  const isWrite = method !== "GET";
  return fetch(path, {
    method,
    headers: { ...headers(), ...(isWrite ? { "content-type": "application/json" } : {}) },
    ...(isWrite ? { body: JSON.stringify(body ?? {}) } : {}),
    cache: "no-store",
    credentials: "omit",
    redirect: "error",
  });
}

async function ask<T>(method: string, path: string, body?: unknown): Promise<T> {
  let answer: Response;
  try {
    answer = await send(method, path, body);
  } catch {
    throw new Refused(0, "The program does not answer.", "Is `stockade inspect` still running?");
  }
  if (!answer.ok) {
    const said = (await answer.json().catch(() => ({}))) as { error?: string; help?: string };
    throw new Refused(answer.status, said.error ?? `It answers ${answer.status}.`, said.help);
  }
  return (await answer.json()) as T;
}

export const get = <T>(path: string) => ask<T>("GET", path);
export const post = <T>(path: string, body: unknown) => ask<T>("POST", path, body);
export const put = <T>(path: string, body: unknown) => ask<T>("PUT", path, body);
export const remove = <T>(path: string) => ask<T>("DELETE", path);

/** A text of the program, to be saved. */
export async function text(path: string): Promise<string> {
  const answer = await send("GET", path);
  if (!answer.ok) throw new Refused(answer.status, `It answers ${answer.status}.`);
  return answer.text();
}
