import type { Finding } from "../api/types.ts";
import styles from "./decision.module.css";
import { FindingNote } from "./findings.tsx";
import { Json } from "./json.tsx";
import { Seen } from "./seen.tsx";

interface Judged {
  verdict?: string;
  shadow?: boolean;
  listed?: boolean;
  by?: { rule: string; place?: string | null }[];
  why?: string[] | string;
  findings?: (Omit<Finding, "place"> & { at?: string; place?: string | null })[];
  sent?: unknown;
  told?: unknown;
  rules?: { id: string; effect: string; place?: string | null; outcome: string; decides: boolean }[];
}

const SAYS: Record<string, string> = {
  allow: "It would pass",
  deny: "It would be denied",
  ask: "A person would be asked",
  mend: "It would be mended, and pass",
};

/** What the policy would do with a call, by the code that does it, and why. */
export function Decision({ of }: { of: Record<string, unknown> }) {
  const it = of as Judged;
  const verdict = it.verdict ?? "";
  const why = typeof it.why === "string" ? [it.why] : (it.why ?? []);
  return (
    <section className={styles.decision} aria-label="What the policy would do" role="status">
      <h3 data-is={verdict}>{SAYS[verdict] ?? verdict}</h3>
      {it.listed === false ? <p>But the policy keeps the tool out of the list that a client gets.</p> : null}
      {why.map((each, index) => (
        <p key={`${index}-${each}`}>
          <Seen text={each} />
        </p>
      ))}
      {it.by?.length ? (
        <ul className={styles.by}>
          {it.by.map(each => (
            <li key={each.rule}>
              <code>
                <Seen text={each.rule} />
              </code>{" "}
              {each.place ? <Seen text={each.place} /> : "by default"}
            </li>
          ))}
        </ul>
      ) : null}
      {it.findings?.map(({ at, place: _place, ...each }, index) => (
        <FindingNote key={`${index}-${each.rule}`} of={{ ...each, ...(at ? { place: at } : {}) }} place />
      ))}
      <details>
        <summary>All of it</summary>
        <div className={styles.all}>
          <Json value={of} label="The decision" />
        </div>
      </details>
    </section>
  );
}
