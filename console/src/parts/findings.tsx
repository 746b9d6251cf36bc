import { Drawer, UnstyledButton } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { get } from "../api/http.ts";
import type { Finding } from "../api/types.ts";
import styles from "./findings.module.css";
import { Seen } from "./seen.tsx";
import { Busy, Problem } from "./states.tsx";

const RANK = ["info", "low", "medium", "high", "critical"];

export const rank = (severity: string) => RANK.indexOf(severity);

export function worst(findings: Finding[]): string | undefined {
  return findings.map(it => it.severity).sort((a, b) => rank(b) - rank(a))[0];
}

export function Severity({ of }: { of: string }) {
  return (
    <span className={styles.severity} data-is={of}>
      {of}
    </span>
  );
}

/** How many there are, as bad as the worst of them. */
export function Count({ findings }: { findings: Finding[] | undefined }) {
  if (!findings?.length) return null;
  const says = `${findings.length} finding${findings.length === 1 ? "" : "s"}`;
  return (
    <span className={styles.count} data-is={worst(findings)} title={says}>
      {findings.length}
      <span className={styles.unseen}> {says}</span>
    </span>
  );
}

/** What a rule found, and the rule. */
export function FindingNote({ of, place }: { of: Finding; place?: boolean }) {
  return (
    <div className={styles.finding} data-is={of.severity}>
      <div className={styles.line}>
        <Severity of={of.severity} />
        <Rule id={of.rule} />
        {place && of.place ? (
          <code className={styles.place}>
            <Seen text={of.place} />
          </code>
        ) : null}
        {of.action ? <span className={styles.action}>the policy: {of.action}</span> : null}
      </div>
      <p>
        <Seen text={of.says} />
      </p>
    </div>
  );
}

/** By the place that they are about. */
export function notesOf(findings: Finding[] | undefined): Map<string, ReactNode> {
  const at = new Map<string, Finding[]>();
  for (const it of findings ?? []) {
    const place = it.place ?? "";
    at.set(place, [...(at.get(place) ?? []), it]);
  }
  return new Map(
    [...at].map(([place, all]) => [
      place,
      <div key={place} className={styles.notes}>
        {all.map((it, index) => (
          <FindingNote key={`${index}-${it.rule}`} of={it} />
        ))}
      </div>,
    ]),
  );
}

function Rule({ id }: { id: string }) {
  const [open, { open: show, close }] = useDisclosure(false);
  const { data, error } = useQuery({
    queryKey: ["rule", id],
    queryFn: () =>
      get<{ id: string; severity: string; page: string }>(`/api/rules/${encodeURIComponent(id)}`),
    enabled: open,
    staleTime: Number.POSITIVE_INFINITY,
  });
  return (
    <>
      <UnstyledButton className={styles.rule} onClick={show} aria-haspopup="dialog">
        {id}
      </UnstyledButton>
      <Drawer opened={open} onClose={close} title={id} position="right" size="lg" lockScroll={false}>
        {data ? (
          <div className={styles.page}>{data.page}</div>
        ) : error ? (
          <Problem of={error} />
        ) : (
          <Busy says="Loading" />
        )}
      </Drawer>
    </>
  );
}
