import { useMemo } from "react";
import { Link } from "wouter";
import { useDefinitions } from "../api/definitions.ts";
import { useServer } from "../api/store.ts";
import type { Item } from "../api/types.ts";
import { Changes, DifferenceMark } from "../parts/definition.tsx";
import { FindingNote, rank, worst } from "../parts/findings.tsx";
import { Page } from "../parts/page.tsx";
import { Seen } from "../parts/seen.tsx";
import { Busy, Empty, Problem } from "../parts/states.tsx";
import styles from "./findings.module.css";
import { NeedsServer } from "./servers.tsx";

const PART: Record<Item["part"], string> = {
  identity: "What it says it is",
  instructions: "Instructions",
  tool: "Tool",
  prompt: "Prompt",
  resource: "Resource",
  template: "Template",
};

function linkOf(it: Item): string | null {
  switch (it.part) {
    case "tool":
      return `/tools/${encodeURIComponent(it.name)}`;
    case "prompt":
      return `/prompts/${encodeURIComponent(it.name)}`;
    case "resource":
      return `/resources/read/${encodeURIComponent(String(it.raw?.uri ?? it.name))}`;
    case "template":
      return `/resources/template/${encodeURIComponent(String(it.raw?.uriTemplate ?? it.name))}`;
    case "identity":
    case "instructions":
      return null;
  }
}

/** What the rules found in all that the server declares, the worst first. */
export default function FindingsPage() {
  const server = useServer();
  const isReady = server?.state === "ready";
  const { data, error, isPending } = useDefinitions(server?.id, isReady);
  const items = useMemo(() => {
    const worstOf = (it: Item) => rank(worst(it.findings ?? []) ?? "");
    return (data?.items ?? [])
      .filter(it => it.findings?.length || it.difference)
      .sort((a, b) => worstOf(b) - worstOf(a));
  }, [data]);
  if (!server || !isReady)
    return (
      <Page title="Findings">
        <NeedsServer server={server} />
      </Page>
    );
  const count = items.reduce((sum, it) => sum + (it.findings?.length ?? 0), 0);
  return (
    <Page
      title="Findings"
      says={data ? `${count} in ${data.items.length} definitions. ${lockSays(data.lock)}` : undefined}
    >
      {isPending ? (
        <Busy says="Listing what it declares" />
      ) : error ? (
        <Problem of={error} title="It could not be listed" />
      ) : items.length === 0 ? (
        <Empty title="The rules found nothing">
          In {data.items.length} definitions. Answers are judged as they come, and marked in the traffic.
        </Empty>
      ) : (
        <ul className={styles.items}>
          {items.map(it => {
            const to = linkOf(it);
            return (
              <li key={`${it.part} ${it.name}`}>
                <h2>
                  <span>{PART[it.part]}</span>{" "}
                  {it.name && it.part !== "instructions" ? (
                    to ? (
                      <Link href={to}>
                        <Seen text={it.name} />
                      </Link>
                    ) : (
                      <Seen text={it.name} />
                    )
                  ) : null}{" "}
                  <DifferenceMark of={it} />
                </h2>
                <Changes of={it.difference} />
                {it.findings?.map((each, index) => (
                  <FindingNote key={`${index}-${each.rule}`} of={each} place />
                ))}
              </li>
            );
          })}
        </ul>
      )}
    </Page>
  );
}

function lockSays({ state }: { state: string }): string {
  if (state === "same") return "It is what was locked.";
  if (state === "differs") return "It is not what was locked.";
  return "Nothing is locked.";
}
