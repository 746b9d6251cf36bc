// The messages, as many as are looked at: the newest first, older ones when somebody goes to them.

import { useCallback, useEffect, useRef, useState } from "react";
import { get } from "./http.ts";
import { useKnown } from "./store.ts";
import type { Brief, Page } from "./types.ts";

export interface Filter {
  server?: string;
  from?: string;
  kind?: string;
  method?: string;
  text?: string;
  findings?: boolean;
  violation?: boolean;
}

const PAGE = 1000;
const EVERY_MS = 250;

export function queryOf(filter: Filter): URLSearchParams {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(filter)) {
    if (value !== undefined && value !== "" && value !== false) query.set(name, String(value));
  }
  return query;
}

export interface Traffic {
  messages: Brief[];
  total: number;
  dropped: number;
  more: boolean;
  /** Reads older ones, if there are any. */
  older: () => void;
  again: () => void;
  error: unknown;
  isPending: boolean;
}

interface Read {
  of: string;
  messages: Brief[];
  total: number;
  dropped: number;
  /** Up to which number all was looked through, and from where on not yet. */
  seen: number;
  next: number | undefined;
}

const NOTHING: Read = { of: "", messages: [], total: 0, dropped: 0, seen: 0, next: undefined };

export function useTraffic(filter: Filter): Traffic {
  const query = queryOf(filter).toString();
  const last = useKnown(it => it.lastMessage);
  const [read, setRead] = useState(NOTHING);
  const [error, setError] = useState<unknown>(null);
  const [turn, setTurn] = useState(0);
  const busy = useRef(false);
  const current = read.of === `${turn} ${query}` ? read : NOTHING;

  // From the beginning, for another filter.
  useEffect(() => {
    let here = true;
    const of = `${turn} ${query}`;
    get<Page>(`/api/messages?${query}&limit=${PAGE}`).then(
      page => {
        if (!here) return;
        const { messages, total, dropped, last, next } = page;
        setRead({ of, messages, total, dropped, seen: last, next });
        setError(null);
      },
      it => here && setError(it),
    );
    return () => {
      here = false;
    };
  }, [query, turn]);

  // What has come since, a few times a second at most.
  const { of, seen, next } = current;
  useEffect(() => {
    if (!of || last <= seen) return undefined;
    let here = true;
    const timer = setTimeout(async () => {
      const page = await get<Page>(`/api/messages?${query}&after=${seen}&limit=1000`).catch(() => null);
      if (!here || !page) return;
      setRead(it =>
        it.of !== of
          ? it
          : {
              ...it,
              messages: page.messages.length ? [...page.messages.toReversed(), ...it.messages] : it.messages,
              total: page.total,
              dropped: page.dropped,
              seen: page.next ?? Math.max(page.last, seen),
            },
      );
    }, EVERY_MS);
    return () => {
      here = false;
      clearTimeout(timer);
    };
  }, [last, seen, query, of]);

  const older = useCallback(() => {
    if (next === undefined || busy.current) return;
    busy.current = true;
    get<Page>(`/api/messages?${query}&before=${next}&limit=${PAGE}`)
      .then(page =>
        setRead(it =>
          it.of !== of ? it : { ...it, messages: [...it.messages, ...page.messages], next: page.next },
        ),
      )
      .catch(setError)
      .finally(() => {
        busy.current = false;
      });
  }, [query, next, of]);

  // Where none of those that were looked through is like that, older ones may be.
  const isBare = current.messages.length === 0 && next !== undefined;
  useEffect(() => {
    if (isBare) older();
  }, [isBare, older]);

  return {
    messages: current.messages,
    total: current.total,
    dropped: current.dropped,
    more: next !== undefined,
    older,
    again: useCallback(() => setTurn(it => it + 1), []),
    error,
    isPending: (current === NOTHING || isBare) && error === null,
  };
}
