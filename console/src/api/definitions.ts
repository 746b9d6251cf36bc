import { useQuery, useQueryClient } from "@tanstack/react-query";
import { get } from "./http.ts";
import { useKnown } from "./store.ts";
import type { Begun, Definitions, Finding, Item, Message, Page, PartName, Server } from "./types.ts";

/**
 * Everything that a server declares, listed when somebody asks, and again when it has changed. What is not
 * `enabled` asks for nothing, and has what was listed before.
 */
export function useDefinitions(server: string | undefined, enabled = true) {
  const changes = useKnown(it => it.changes);
  return useQuery({
    queryKey: ["definitions", server, changes],
    queryFn: () => get<Definitions>(`/api/servers/${server}/definitions${changes > 1 ? "?fresh=true" : ""}`),
    enabled: enabled && server !== undefined,
    placeholderData: (before, query) => (query?.queryKey[1] === server ? before : undefined),
  });
}

/**
 * What a server said when the conversation began, to the letter, and what the rules found in it: a client,
 * and so `begun`, gets what the policy leaves of it. It is read from the traffic: nothing is asked for it.
 */
export function useSaid(server: Server) {
  return useQuery({
    queryKey: ["said", server.id, server.startedAt, server.state],
    queryFn: async (): Promise<Said> => {
      for (const method of ["initialize", "server/discover"]) {
        const query = new URLSearchParams({
          server: server.id,
          from: "server",
          kind: "result",
          method,
          limit: "1",
        });
        const { messages } = await get<Page>(`/api/messages?${query}`);
        const [brief] = messages;
        if (!brief) continue;
        const { text, records } = await get<Message>(`/api/messages/${brief.n}`);
        const { result } = JSON.parse(text ?? "{}") as { result?: Begun };
        const findings = (records ?? []).flatMap(it => it.findings ?? []);
        return { begun: result ?? {}, findings };
      }
      return { begun: {}, findings: [] };
    },
    enabled: server.begun !== undefined,
  });
}

interface Said {
  begun: Begun;
  findings: Finding[];
}

/** Lists it once more. */
export function useListAgain(server: string | undefined): () => Promise<void> {
  const queries = useQueryClient();
  return async () => {
    await get<Definitions>(`/api/servers/${server}/definitions?fresh=true`);
    await queries.invalidateQueries({ queryKey: ["definitions", server] });
  };
}

/** How an item is called in a list. */
export function titleOf(it: Item): string {
  const { title, annotations } = (it.raw ?? {}) as { title?: string; annotations?: { title?: string } };
  return title || annotations?.title || "";
}

export function ofPart(definitions: Definitions | undefined, ...named: PartName[]): Item[] {
  return definitions?.items.filter(it => named.includes(it.part)) ?? [];
}
