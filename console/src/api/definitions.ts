import { useQuery, useQueryClient } from "@tanstack/react-query";
import { get } from "./http.ts";
import { useKnown } from "./store.ts";
import type { Definitions, Item, PartName } from "./types.ts";

/** Everything that a server declares, listed when somebody asks, and again when it has changed. */
export function useDefinitions(server: string | undefined, enabled = true) {
  const changes = useKnown(it => it.changes);
  return useQuery({
    queryKey: ["definitions", server, changes],
    queryFn: () => get<Definitions>(`/api/servers/${server}/definitions${changes > 1 ? "?fresh=true" : ""}`),
    enabled: enabled && server !== undefined,
    placeholderData: (before, query) => (query?.queryKey[1] === server ? before : undefined),
  });
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
