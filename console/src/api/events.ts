// What happens, as the program tells it: a stream that is taken up again where it broke.

import { createParser } from "eventsource-parser";
import { headers } from "./http.ts";

export interface Listener {
  /** What the program told. */
  event: (name: string, data: unknown) => void;
  state: (state: "live" | "lost" | "out" | "over") => void;
}

/** The program says every five seconds that it is there. */
const SILENT_MS = 15_000;
const AGAIN_MS = 1000;
/** So long after the last word of it, the program is taken to have ended. */
const OVER_MS = 12_000;

export async function listen(to: Listener, signal: AbortSignal): Promise<void> {
  let last: string | undefined;
  let heard = performance.now();
  while (!signal.aborted) {
    const stop = new AbortController();
    const watch = setInterval(() => {
      if (performance.now() - heard > SILENT_MS) stop.abort();
    }, 1000);
    try {
      const answer = await fetch("/api/events", {
        headers: { ...headers(), accept: "text/event-stream", ...(last ? { "last-event-id": last } : {}) },
        signal: AbortSignal.any([stop.signal, signal]),
        cache: "no-store",
        credentials: "omit",
      });
      if (answer.status === 401 || answer.status === 403) return to.state("out");
      if (answer.ok && answer.body) {
        heard = performance.now();
        to.state("live");
        const parser = createParser({
          onEvent: it => {
            if (it.id) last = it.id;
            to.event(it.event ?? "message", JSON.parse(it.data));
          },
        });
        const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
        for (;;) {
          const { value, done } = await reader.read();
          if (done) break;
          heard = performance.now();
          parser.feed(value);
        }
      }
    } catch {
      // It is tried again.
    } finally {
      clearInterval(watch);
    }
    if (signal.aborted) return;
    if (performance.now() - heard > OVER_MS) return to.state("over");
    to.state("lost");
    await new Promise(done => setTimeout(done, AGAIN_MS));
  }
}
