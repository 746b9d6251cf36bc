import { memo, useState } from "react";
import { within } from "../lib/pointer.ts";
import styles from "./json.module.css";
import { Seen } from "./seen.tsx";

/** So much of a text or a list is shown before it is asked for. */
const TEXT_MAX = 20_000;
const ITEMS_MAX = 100;

interface Props {
  value: unknown;
  /** What is said about places, by their pointer: it is shown there. */
  notes?: ReadonlyMap<string, React.ReactNode>;
  label?: string;
  pointer?: string;
}

/** JSON to read, in which nothing hides, with what was found at its place. */
export function Json({ value, notes, label, pointer = "" }: Props) {
  return (
    <div className={styles.json} dir="ltr" {...(label ? { role: "group", "aria-label": label } : {})}>
      <Node value={value} notes={notes} pointer={pointer} depth={0} last />
    </div>
  );
}

interface NodeProps {
  name?: string;
  value: unknown;
  notes: ReadonlyMap<string, React.ReactNode> | undefined;
  pointer: string;
  depth: number;
  last: boolean;
}

const Node = memo(function Node({ name, value, notes, pointer, depth, last }: NodeProps) {
  const [open, setOpen] = useState(depth < 6);
  const [items, setItems] = useState(ITEMS_MAX);
  const note = notes?.get(pointer);
  const isList = Array.isArray(value);
  const isMap = typeof value === "object" && value !== null && !isList;
  const label =
    name === undefined ? null : (
      <>
        <span className={styles.key}>
          "<Seen text={name} />"
        </span>
        <span className={styles.punctuation}>: </span>
      </>
    );
  const comma = last ? null : <span className={styles.punctuation}>,</span>;
  if (!isList && !isMap)
    return (
      <div className={styles.row}>
        {label}
        <span className={note ? styles.found : undefined}>
          <Leaf value={value} />
        </span>
        {comma}
        {note}
      </div>
    );

  const entries: [string, unknown][] = isList
    ? value.map((it, index) => [String(index), it])
    : Object.entries(value as Record<string, unknown>);
  const [begin, end] = isList ? ["[", "]"] : ["{", "}"];
  if (entries.length === 0)
    return (
      <div className={styles.row}>
        {label}
        <span className={styles.punctuation}>
          {begin}
          {end}
        </span>
        {comma}
        {note}
      </div>
    );
  const count = `${entries.length} ${isList ? "item" : "member"}${entries.length === 1 ? "" : "s"}`;
  return (
    <div>
      <div className={styles.row}>
        {label}
        <button
          type="button"
          className={styles.fold}
          aria-expanded={open}
          aria-label={`${name ?? "value"}: ${count}`}
          onClick={() => setOpen(!open)}
        >
          {open ? begin : `${begin} ${count} ${end}`}
        </button>
        {open ? null : comma}
      </div>
      {note}
      {open ? (
        <>
          <div className={styles.inner}>
            {entries.slice(0, items).map(([key, it], index) => (
              <Node
                key={key}
                {...(isList ? {} : { name: key })}
                value={it}
                notes={notes}
                pointer={within(pointer, key)}
                depth={depth + 1}
                last={index === entries.length - 1}
              />
            ))}
            {entries.length > items ? (
              <button type="button" className={styles.fold} onClick={() => setItems(items + 10 * ITEMS_MAX)}>
                … {entries.length - items} more
              </button>
            ) : null}
          </div>
          <div className={styles.row}>
            <span className={styles.punctuation}>{end}</span>
            {comma}
          </div>
        </>
      ) : null}
    </div>
  );
});

function Leaf({ value }: { value: unknown }) {
  const [all, setAll] = useState(false);
  if (typeof value === "string") {
    // Line breaks stay line breaks: a description is read as its author wrote it.
    const cut = !all && value.length > TEXT_MAX;
    return (
      <span className={styles.string}>
        "<Seen text={cut ? value.slice(0, TEXT_MAX) : value} />"
        {cut ? (
          <button type="button" className={styles.fold} onClick={() => setAll(true)}>
            … {value.length - TEXT_MAX} more characters
          </button>
        ) : null}
      </span>
    );
  }
  if (typeof value === "number") return <span className={styles.number}>{String(value)}</span>;
  return <span className={styles.atom}>{String(value)}</span>;
}
