import { SegmentedControl } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { useRef, useState } from "react";
import { post } from "../api/http.ts";
import { wantsNothing } from "../lib/schema.ts";
import styles from "./arguments.module.css";
import { JsonEditor } from "./editor.tsx";
import { SchemaForm } from "./form.tsx";
import { Seen } from "./seen.tsx";

/** What is filled in, and how it stands as JSON, which need not be any while somebody writes. */
export interface Draft {
  value: unknown;
  text: string;
  wrong: string | null;
}

export function draft(value: unknown): Draft {
  return { value, text: JSON.stringify(value, null, 2) ?? "", wrong: null };
}

export function written(text: string, before: Draft): Draft {
  try {
    return { value: text.trim() ? JSON.parse(text) : {}, text, wrong: null };
  } catch (error) {
    return { value: before.value, text, wrong: error instanceof Error ? error.message : String(error) };
  }
}

interface Props {
  schema: unknown;
  draft: Draft;
  onChange: (draft: Draft) => void;
  prefix: string;
  label: string;
}

/** Arguments, in a form and as JSON: what is written in one is in the other. */
export function Arguments({ schema, draft: it, onChange, prefix, label }: Props) {
  const [as, setAs] = useState<"form" | "json">("form");
  // Before anything is filled in, what is missing is a hint and no reproach.
  const [first] = useState(it.text);
  const nothing = wantsNothing(schema);
  const json = useRef<HTMLDivElement>(null);
  // The form fills in defaults by itself, which is not for what somebody is writing beside it.
  const fill = (value: unknown) => {
    if (!json.current?.contains(document.activeElement)) onChange(draft(value));
  };
  return (
    <div className={styles.arguments}>
      <div className={styles.how}>
        <SegmentedControl
          size="xs"
          value={as}
          onChange={to => setAs(to === "json" ? "json" : "form")}
          aria-label={`${label}: how they are written`}
          data={[
            { value: "form", label: "Form" },
            { value: "json", label: "JSON" },
          ]}
        />
      </div>
      <div className={styles.both} data-as={as}>
        <div className={styles.form}>
          {nothing ? (
            <p className={styles.nothing}>It takes no arguments.</p>
          ) : (
            <SchemaForm schema={schema} value={it.value} onChange={fill} prefix={prefix} />
          )}
        </div>
        <div className={styles.json} ref={json}>
          <JsonEditor
            label={`${label} as JSON`}
            value={it.text}
            onChange={text => onChange(written(text, it))}
            lines={5}
          />
        </div>
      </div>
      <Fits schema={schema} draft={it} isFresh={it.text === first} />
    </div>
  );
}

/** Whether it fits the schema, by the validator that judges calls. */
function Fits({ schema, draft: it, isFresh }: { schema: unknown; draft: Draft; isFresh: boolean }) {
  const [judged] = useDebouncedValue(it.text, 250);
  const { data } = useQuery({
    queryKey: ["validate", schema, judged],
    queryFn: () => post<{ valid: boolean; says?: string }>("/api/validate", { schema, value: it.value }),
    enabled: it.wrong === null && judged === it.text && schema !== undefined,
    placeholderData: before => before,
    gcTime: 10_000,
  });
  const says = it.wrong === null ? data?.says : `This is no JSON: ${it.wrong}`;
  return (
    <p className={styles.fits} role="status" data-wrong={says !== undefined && !isFresh}>
      {says ? <Seen text={says} /> : null}
    </p>
  );
}
