import { Button, Select, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { IconSearch, IconShieldLock } from "@tabler/icons-react";
import { keepPreviousData, useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { get } from "../api/http.ts";
import { useKnown } from "../api/store.ts";
import type { LedgerPage as Found, Rec } from "../api/types.ts";
import { day } from "../lib/units.ts";
import { Json } from "../parts/json.tsx";
import { Page } from "../parts/page.tsx";
import { Seen } from "../parts/seen.tsx";
import { Busy, Empty, Problem } from "../parts/states.tsx";
import styles from "./ledger.module.css";

const LIMITS = [100, 300, 1000];
const KINDS = [
  "decision",
  "outcome",
  "question",
  "refusal",
  "violation",
  "start",
  "stop",
  "touched",
  "egress",
  "notice",
];

/** What the guard has written down: this console's calls, and those of every client before it. */
export default function LedgerPage() {
  const [kind, setKind] = useState<string | null>(null);
  const [decision, setDecision] = useState<string | null>(null);
  const [typed, setTyped] = useState("");
  const [text] = useDebouncedValue(typed, 250);
  const [more, setMore] = useState(0);
  // What was said since is looked for again, not more often than somebody reads.
  const [last] = useDebouncedValue(
    useKnown(it => it.lastMessage),
    1500,
  );
  const query = new URLSearchParams({
    ...(kind ? { kind } : {}),
    ...(decision ? { decision } : {}),
    ...(text ? { text } : {}),
    limit: String(LIMITS[more]),
  });
  const { data, error, isPending } = useQuery({
    queryKey: ["ledger", query.toString(), last],
    queryFn: () => get<Found>(`/api/ledger?${query}`),
    placeholderData: keepPreviousData,
  });
  const verify = useMutation({
    mutationFn: () => get<{ whole: boolean; says: string }>("/api/ledger/verify"),
  });
  return (
    <Page
      title="Ledger"
      says="What was asked, decided and answered, in a chain that shows when something is missing."
      actions={
        <Button
          variant="default"
          leftSection={<IconShieldLock size={16} />}
          onClick={() => verify.mutate()}
          loading={verify.isPending}
        >
          Verify
        </Button>
      }
    >
      {verify.data ? (
        <p className={styles.chain} data-whole={verify.data.whole} role="status">
          <Seen text={verify.data.says} />
        </p>
      ) : null}
      <Problem of={verify.error} />
      <div className={styles.filters}>
        <TextInput
          aria-label="Search in the ledger"
          placeholder="Search"
          leftSection={<IconSearch size={16} aria-hidden />}
          value={typed}
          onChange={event => setTyped(event.currentTarget.value)}
        />
        <Select
          aria-label="Decision"
          placeholder="Any decision"
          clearable
          data={["allow", "fix", "ask", "deny"]}
          value={decision}
          onChange={setDecision}
        />
        <Select
          aria-label="Kind of record"
          placeholder="All records"
          clearable
          data={KINDS}
          value={kind}
          onChange={setKind}
        />
      </div>
      <Problem of={error} title="It could not be read" />
      {isPending ? (
        <Busy says="Reading the ledger" />
      ) : data?.records.length ? (
        <ul className={styles.records}>
          {data.records.map(it => (
            <li key={`${it.segment} ${it.seq}`}>
              <details>
                <summary>
                  <time>{day(it.at)}</time>
                  <Decided of={it.record} />
                  <span className={styles.what}>
                    <Seen text={it.record.tool ?? it.record.method ?? it.record.kind} />
                  </span>
                  <span className={styles.says}>
                    <Seen text={saysOf(it.record)} />
                  </span>
                </summary>
                <div className={styles.whole}>
                  <Json value={it.record} label="The record" />
                </div>
              </details>
            </li>
          ))}
        </ul>
      ) : error ? null : (
        <Empty title="No record is like that" />
      )}
      {data && data.records.length >= (LIMITS[more] ?? 0) && more < LIMITS.length - 1 ? (
        <Button variant="default" mt="md" onClick={() => setMore(more + 1)}>
          Older ones
        </Button>
      ) : null}
    </Page>
  );
}

function Decided({ of }: { of: Rec }) {
  const says = of.decision ?? of.kind;
  return (
    <span className={styles.decision} data-is={says}>
      {says}
    </span>
  );
}

function saysOf({ says, rule, server, kind, decision }: Rec): string {
  return [decision ? kind : "", rule, says, server ? `of ${server}` : ""].filter(it => it).join(", ");
}
