import { CloseButton, TextInput } from "@mantine/core";
import { IconChevronLeft, IconSearch } from "@tabler/icons-react";
import { useVirtualizer } from "@tanstack/react-virtual";
import {
  type KeyboardEvent,
  type ReactNode,
  useDeferredValue,
  useEffect,
  useMemo,
  useRef,
  useState,
} from "react";
import { Link, useLocation } from "wouter";
import { Seen } from "./seen.tsx";
import styles from "./split.module.css";

export interface Row {
  key: string;
  /** Where it leads. */
  to: string;
  title: string;
  says?: string;
  marks?: ReactNode;
  /** A heading that stands before it. */
  group?: string;
}

/** So many are seen at once. */
const FEW = 8;

/**
 * A list, and beside it what is chosen in it; on a narrow screen one or the other. The list may have
 * thousands of rows: those that are seen are there. The arrows go through it.
 */
export function Split({
  rows,
  chosen,
  back,
  label,
  children,
}: {
  rows: Row[];
  chosen: string | undefined;
  /** Where the list alone is. */
  back: string;
  label: string;
  children: ReactNode;
}) {
  const [sought, setSought] = useState("");
  const words = useDeferredValue(sought.toLowerCase());
  const [, go] = useLocation();
  const scroll = useRef<HTMLDivElement>(null);
  const shown = useMemo(
    () => (words ? rows.filter(it => `${it.title} ${it.says ?? ""}`.toLowerCase().includes(words)) : rows),
    [rows, words],
  );
  const virtual = useVirtualizer({
    count: shown.length,
    getScrollElement: () => scroll.current,
    estimateSize: index => (shown[index]?.group ? 88 : 58),
    getItemKey: index => shown[index]?.key ?? index,
    overscan: 12,
  });
  const at = shown.findIndex(it => it.key === chosen);

  // Chosen elsewhere, it is brought into sight.
  // biome-ignore lint/correctness/useExhaustiveDependencies: only when another is chosen
  useEffect(() => {
    if (at >= 0) virtual.scrollToIndex(at);
  }, [chosen]);

  const onKeyDown = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1, Home: -shown.length, End: shown.length }[event.key];
    if (step === undefined) return;
    const focused = (document.activeElement as HTMLElement | null)?.dataset.index;
    const from = focused === undefined ? at : Number(focused);
    const to = Math.max(0, Math.min(shown.length - 1, from + step));
    const row = shown[to];
    if (!row) return;
    event.preventDefault();
    virtual.scrollToIndex(to);
    if (scroll.current?.offsetParent && window.matchMedia("(min-width: 56rem)").matches) go(row.to);
    requestAnimationFrame(() => scroll.current?.querySelector<HTMLElement>(`[data-index="${to}"]`)?.focus());
  };

  return (
    <div className={styles.split} data-chosen={chosen !== undefined}>
      <section className={styles.list} aria-label={label}>
        {rows.length > FEW ? (
          <div className={styles.search}>
            <TextInput
              aria-label={`Search in ${label.toLowerCase()}`}
              placeholder={`Search ${rows.length}`}
              size="sm"
              value={sought}
              onChange={event => setSought(event.currentTarget.value)}
              leftSection={<IconSearch size={16} aria-hidden />}
              rightSection={
                sought ? (
                  <CloseButton size="sm" aria-label="Clear the search" onClick={() => setSought("")} />
                ) : null
              }
            />
          </div>
        ) : null}
        {/* biome-ignore lint/a11y/noStaticElementInteractions: the arrows go from link to link in it */}
        <div className={styles.scroll} ref={scroll} onKeyDown={onKeyDown}>
          {shown.length ? null : <p className={styles.none}>Nothing is called so.</p>}
          <ul style={{ height: virtual.getTotalSize() }}>
            {virtual.getVirtualItems().map(({ key, index, start }) => {
              const row = shown[index];
              if (!row) return null;
              const isChosen = row.key === chosen;
              return (
                <li key={key} style={{ transform: `translateY(${start}px)` }}>
                  {row.group ? <p className={styles.group}>{row.group}</p> : null}
                  <Link
                    href={row.to}
                    className={styles.row ?? ""}
                    data-index={index}
                    tabIndex={isChosen || (at < 0 && index === 0) ? 0 : -1}
                    {...(isChosen ? { "aria-current": "true" as const } : {})}
                  >
                    <span className={styles.title}>
                      <Seen text={row.title} />
                    </span>
                    {row.marks ? <span className={styles.marks}>{row.marks}</span> : null}
                    {row.says ? (
                      <span className={styles.says}>
                        <Seen text={row.says.slice(0, 160)} />
                      </span>
                    ) : null}
                  </Link>
                </li>
              );
            })}
          </ul>
        </div>
      </section>
      <section className={styles.detail} aria-label="Chosen">
        {chosen === undefined ? null : (
          <Link href={back} className={styles.back}>
            <IconChevronLeft size={18} aria-hidden /> {label}
          </Link>
        )}
        {children}
      </section>
    </div>
  );
}
