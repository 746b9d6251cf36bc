import { SegmentedControl, Select, TextInput } from "@mantine/core";
import { IconSearch } from "@tabler/icons-react";
import { useMutation } from "@tanstack/react-query";
import { useVirtualizer } from "@tanstack/react-virtual";
import { memo, useDeferredValue, useEffect, useMemo, useRef, useState } from "react";
import { answered, type Log, useKnown, useServer } from "../api/store.ts";
import { clock } from "../lib/units.ts";
import { Page } from "../parts/page.tsx";
import { Seen } from "../parts/seen.tsx";
import { Empty, Problem } from "../parts/states.tsx";
import styles from "./logs.module.css";

const LEVELS = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

export default function LogsPage() {
  const server = useServer();
  const logs = useKnown(it => it.logs);
  const [from, setFrom] = useState("all");
  const [sought, setSought] = useState("");
  const words = useDeferredValue(sought.toLowerCase());
  const shown = useMemo(
    () =>
      logs.filter(
        it =>
          it.server === server?.id &&
          (from === "all" || it.from === from) &&
          (!words || textOf(it).toLowerCase().includes(words)),
      ),
    [logs, server?.id, from, words],
  );
  const level = useMutation({
    mutationFn: async (it: string) => {
      const { error } = await answered(server?.id ?? "", "logging/setLevel", { level: it });
      if (error) throw new Error(error.message);
      return it;
    },
  });
  const isLegacy = (server?.revision ?? "") < "2026-07-28";
  const canSet = server?.state === "ready" && isLegacy && "logging" in (server.begun?.capabilities ?? {});
  return (
    <Page
      title="Logs"
      fill
      says="What it writes to standard error, what it tells as log messages, and what the sandbox saw it touch."
      actions={
        canSet ? (
          <Select
            aria-label="Level of log messages"
            placeholder="Set the level"
            data={LEVELS}
            value={level.data ?? null}
            onChange={it => it && level.mutate(it)}
            w={170}
          />
        ) : null
      }
    >
      <div className={styles.filters}>
        <TextInput
          aria-label="Search in the logs"
          placeholder="Search"
          leftSection={<IconSearch size={16} aria-hidden />}
          value={sought}
          onChange={event => setSought(event.currentTarget.value)}
        />
        <SegmentedControl
          value={from}
          onChange={setFrom}
          aria-label="Which lines"
          data={[
            { value: "all", label: "All" },
            { value: "stderr", label: "stderr" },
            { value: "message", label: "Messages" },
            { value: "sandbox", label: "Touched" },
          ]}
        />
      </div>
      <Problem of={level.error} title="The level was not set" />
      {shown.length ? (
        <Lines lines={shown} />
      ) : (
        <Empty title="Nothing was logged">
          {server ? "What the server logs is here as it comes." : "Add a server first."}
        </Empty>
      )}
    </Page>
  );
}

function textOf(it: Log): string {
  return it.from === "message" ? `${it.logger} ${said(it.data)}` : it.text;
}

function said(data: unknown): string {
  return typeof data === "string" ? data : JSON.stringify(data);
}

function Lines({ lines }: { lines: Log[] }) {
  const scroll = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: lines.length,
    getScrollElement: () => scroll.current,
    estimateSize: () => 28,
    getItemKey: index => lines[index]?.n ?? index,
    overscan: 20,
  });
  // The end is followed, unless somebody reads further up.
  const follows = useRef(true);
  useEffect(() => {
    if (follows.current && lines.length) virtual.scrollToIndex(lines.length - 1, { align: "end" });
  }, [lines.length, virtual]);
  return (
    <section
      className={styles.lines}
      ref={scroll}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls can be scrolled by the keyboard
      tabIndex={0}
      aria-label="Log lines"
      onScroll={event => {
        const { scrollTop, scrollHeight, clientHeight } = event.currentTarget;
        follows.current = scrollHeight - scrollTop - clientHeight < 40;
      }}
    >
      <div style={{ height: virtual.getTotalSize() }} className={styles.all}>
        {virtual.getVirtualItems().map(({ key, index, start }) => {
          const it = lines[index];
          return it ? (
            <div
              key={key}
              data-index={index}
              ref={virtual.measureElement}
              className={styles.at}
              style={{ transform: `translateY(${start}px)` }}
            >
              <One of={it} />
            </div>
          ) : null;
        })}
      </div>
    </section>
  );
}

const One = memo(function One({ of }: { of: Log }) {
  return (
    <p className={styles.line} data-from={of.from} data-level={of.from === "message" ? of.level : undefined}>
      <time>{clock(of.at)}</time>
      <span className={styles.level}>{of.from === "message" ? of.level : of.from}</span>
      <span className={styles.text}>
        {of.from === "message" && of.logger ? (
          <b>
            <Seen text={of.logger} />{" "}
          </b>
        ) : null}
        <Seen text={of.from === "message" ? said(of.data) : of.text} />
      </span>
    </p>
  );
});
