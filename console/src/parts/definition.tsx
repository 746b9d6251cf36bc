import { SegmentedControl } from "@mantine/core";
import { type ReactNode, useMemo, useState } from "react";
import { titleOf } from "../api/definitions.ts";
import type { Change, Item } from "../api/types.ts";
import { FindingNote, notesOf } from "./findings.tsx";
import styles from "./item.module.css";
import { Json } from "./json.tsx";
import { Part } from "./page.tsx";
import { Seen } from "./seen.tsx";

/** How an item is called, and what is to be known before anything else. */
export function ItemHead({ of, children }: { of: Item; children?: ReactNode }) {
  const title = titleOf(of);
  return (
    <header className={styles.head}>
      <h2>
        <Seen text={of.name} />
      </h2>
      {title ? (
        <p>
          <Seen text={title} />
        </p>
      ) : null}
      <div className={styles.chips}>
        {of.withheld ? <span className={styles.kind}>the policy takes it out of the list</span> : null}
        <DifferenceMark of={of} />
        {children}
      </div>
    </header>
  );
}

export function DifferenceMark({ of }: { of: Item }) {
  if (!of.difference) return null;
  const kind = of.difference.class;
  return (
    <span className={styles.kind} data-is={kind} title="against the lock">
      {of.raw === undefined ? "gone" : `${kind} change`}
    </span>
  );
}

/** All that a model would read of it, with what was found at its place, and what differs from the lock. */
export function Definition({ of }: { of: Item }) {
  const [as, setAs] = useState("raw");
  const { raw, seen, findings, difference } = of;
  const notes = useMemo(() => notesOf(findings), [findings]);
  const value = as === "seen" && seen ? seen : raw;
  const description = typeof raw?.description === "string" ? raw.description : undefined;
  return (
    <>
      {description === undefined ? null : (
        <Part title="Description" hint="What a model reads, to the letter.">
          <p className={styles.says}>
            <Seen text={description} />
          </p>
        </Part>
      )}
      {findings?.length ? (
        <Part title={findings.length === 1 ? "One finding" : `${findings.length} findings`}>
          <div className={styles.changes}>
            {findings.map((it, index) => (
              <FindingNote key={`${index}-${it.rule}`} of={it} place />
            ))}
          </div>
        </Part>
      ) : null}
      {difference?.changes?.length ? (
        <Part title="Against the lock">
          <Changes of={difference} />
        </Part>
      ) : null}
      {value ? (
        <Part
          title="Whole definition"
          actions={
            seen ? (
              <SegmentedControl
                size="xs"
                value={as}
                onChange={setAs}
                aria-label="Whose definition"
                data={[
                  { value: "raw", label: "As the server says it" },
                  { value: "seen", label: "As a client gets it" },
                ]}
              />
            ) : null
          }
        >
          <div className={styles.json}>
            <Json value={value} {...(as === "raw" ? { notes } : {})} label={`Definition of ${of.name}`} />
          </div>
        </Part>
      ) : null}
    </>
  );
}

/** What is not as it was locked. */
export function Changes({ of }: { of: Item["difference"] }) {
  if (!of?.changes?.length) return null;
  return (
    <ul className={styles.changes}>
      {of.changes.map(it => (
        <ChangeOf key={it.place} of={it} />
      ))}
    </ul>
  );
}

function ChangeOf({ of }: { of: Change }) {
  return (
    <li>
      <span className={styles.kind} data-is={of.class}>
        {of.class}
      </span>{" "}
      <code>
        <Seen text={of.place} />
      </code>
      {of.was === undefined ? null : (
        <div className={styles.was}>
          <Json value={of.was} label="It was" />
        </div>
      )}
      {of.is === undefined ? null : (
        <div className={styles.is}>
          <Json value={of.is} label="It is" />
        </div>
      )}
    </li>
  );
}
