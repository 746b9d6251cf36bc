import { ActionIcon, Button, Menu, Select, Tabs, TextInput } from "@mantine/core";
import { useDebouncedValue, useDisclosure } from "@mantine/hooks";
import {
  IconAlertTriangle,
  IconArrowLeft,
  IconArrowRight,
  IconDots,
  IconDownload,
  IconPin,
  IconPinFilled,
  IconRepeat,
  IconSearch,
  IconTrash,
  IconX,
} from "@tabler/icons-react";
import { useMutation, useQuery } from "@tanstack/react-query";
import { useVirtualizer } from "@tanstack/react-virtual";
import { memo, useEffect, useMemo, useRef, useState } from "react";
import { Link, useLocation, useParams } from "wouter";
import { get, text as readText, remove } from "../api/http.ts";
import { ask, useKnown } from "../api/store.ts";
import { type Filter, queryOf, useTraffic } from "../api/traffic.ts";
import type { Brief, Json as JsonMap, Message } from "../api/types.ts";
import { asCall } from "../lib/copy.ts";
import { clock, duration, size } from "../lib/units.ts";
import { draft, written } from "../parts/arguments.tsx";
import { Long } from "../parts/content.tsx";
import { Copy } from "../parts/copy.tsx";
import { JsonEditor } from "../parts/editor.tsx";
import { FindingNote, Severity } from "../parts/findings.tsx";
import { Json } from "../parts/json.tsx";
import { Facts, Page } from "../parts/page.tsx";
import { Seen } from "../parts/seen.tsx";
import { Busy, Empty, Problem } from "../parts/states.tsx";
import styles from "./traffic.module.css";

const ROW = 36;

/** What somebody has pinned, for as long as this tab is open. */
const pins = new Set<number>();

export default function TrafficPage() {
  const { n } = useParams<{ n?: string }>();
  const chosen = n === undefined ? undefined : Number(n);
  const servers = useKnown(it => it.servers);
  const [filter, setFilter] = useState<Filter>({});
  const [typed, setTyped] = useState("");
  const [text] = useDebouncedValue(typed, 250);
  const [pinned, setPinned] = useState<ReadonlySet<number>>(new Set(pins));
  const [onlyPinned, only] = useDisclosure(false);
  const whole = useMemo(() => ({ ...filter, text }), [filter, text]);
  const traffic = useTraffic(whole);
  const [, go] = useLocation();
  const { messages, older, more, again } = traffic;
  const shown = useMemo(
    () => (onlyPinned ? messages.filter(it => pinned.has(it.n)) : messages),
    [messages, onlyPinned, pinned],
  );
  const labels = useMemo(() => new Map(servers.map(it => [it.id, it.label])), [servers]);
  const forget = useMutation({
    mutationFn: () => remove("/api/messages"),
    onSuccess: () => {
      pins.clear();
      setPinned(new Set());
      again();
      go("/traffic");
    },
  });
  const save = useMutation({
    mutationFn: async () => {
      const lines = await readText(`/api/messages.jsonl?${queryOf(whole)}`);
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([lines], { type: "application/jsonl" }));
      link.download = "traffic.jsonl";
      link.click();
      URL.revokeObjectURL(link.href);
    },
  });
  const pin = (of: number) => {
    if (!pins.delete(of)) pins.add(of);
    setPinned(new Set(pins));
  };
  const isFiltered = text !== "" || Object.values(filter).some(it => it);
  return (
    <Page
      title="Traffic"
      fill
      says={
        traffic.dropped
          ? `${traffic.total.toLocaleString()} messages; ${traffic.dropped.toLocaleString()} older ones are no longer kept`
          : undefined
      }
      actions={
        <Menu position="bottom-end">
          <Menu.Target>
            <ActionIcon variant="default" size="lg" aria-label="More">
              <IconDots size={18} />
            </ActionIcon>
          </Menu.Target>
          <Menu.Dropdown>
            <Menu.Item leftSection={<IconDownload size={16} />} onClick={() => save.mutate()}>
              Save what is shown
            </Menu.Item>
            <Menu.Item leftSection={<IconTrash size={16} />} color="red" onClick={() => forget.mutate()}>
              Forget all messages
            </Menu.Item>
          </Menu.Dropdown>
        </Menu>
      }
    >
      <div className={styles.filters} data-chosen={chosen !== undefined}>
        <TextInput
          aria-label="Search in the messages"
          placeholder="Search in the bytes"
          leftSection={<IconSearch size={16} aria-hidden />}
          value={typed}
          onChange={event => setTyped(event.currentTarget.value)}
          className={styles.search ?? ""}
        />
        {servers.length > 1 ? (
          <Select
            aria-label="Server"
            placeholder="All servers"
            clearable
            data={servers.map(it => ({ value: it.id, label: it.label }))}
            value={filter.server ?? null}
            onChange={it => setFilter({ ...filter, server: it ?? "" })}
          />
        ) : null}
        <Select
          aria-label="From"
          placeholder="Both ways"
          clearable
          data={[
            { value: "client", label: "From the client" },
            { value: "server", label: "From the server" },
          ]}
          value={filter.from || null}
          onChange={it => setFilter({ ...filter, from: it ?? "" })}
        />
        <Select
          aria-label="Kind"
          placeholder="All kinds"
          clearable
          data={["request", "result", "error", "notification", "batch", "garbled"]}
          value={filter.kind || null}
          onChange={it => setFilter({ ...filter, kind: it ?? "" })}
        />
        <Select
          aria-label="Marked"
          placeholder="Marked or not"
          clearable
          data={[
            { value: "findings", label: "With findings" },
            { value: "violation", label: "Against the protocol" },
            { value: "pinned", label: "Pinned" },
          ]}
          value={filter.findings ? "findings" : filter.violation ? "violation" : onlyPinned ? "pinned" : null}
          onChange={it => {
            setFilter({ ...filter, findings: it === "findings", violation: it === "violation" });
            if (it === "pinned") only.open();
            else only.close();
          }}
        />
      </div>
      <Problem of={traffic.error ?? save.error ?? forget.error} />
      <div className={styles.split} data-chosen={chosen !== undefined}>
        {traffic.isPending ? (
          <Busy says="Reading the traffic" />
        ) : shown.length === 0 ? (
          <div className={styles.list}>
            <Empty title={isFiltered || onlyPinned ? "No message is like that" : "Nothing was said yet"}>
              {isFiltered || onlyPinned
                ? ""
                : "Every message between this client and a server is here, to the letter."}
            </Empty>
          </div>
        ) : (
          <List
            messages={shown}
            chosen={chosen}
            older={more ? older : undefined}
            labels={servers.length > 1 ? labels : undefined}
            pinned={pinned}
          />
        )}
        {chosen === undefined ? null : (
          <Detail key={chosen} n={chosen} isPinned={pinned.has(chosen)} pin={() => pin(chosen)} />
        )}
      </div>
    </Page>
  );
}

interface ListProps {
  messages: Brief[];
  chosen: number | undefined;
  older: (() => void) | undefined;
  labels: ReadonlyMap<string, string> | undefined;
  pinned: ReadonlySet<number>;
}

function List({ messages, chosen, older, labels, pinned }: ListProps) {
  const scroll = useRef<HTMLDivElement>(null);
  const [, go] = useLocation();
  const virtual = useVirtualizer({
    count: messages.length,
    getScrollElement: () => scroll.current,
    estimateSize: () => ROW,
    getItemKey: index => messages[index]?.n ?? index,
    overscan: 15,
  });
  const items = virtual.getVirtualItems();
  const end = items.at(-1)?.index ?? 0;
  useEffect(() => {
    if (older && end >= messages.length - 50) older();
  }, [end, messages.length, older]);

  // What comes new does not move what is being read.
  const newest = messages[0]?.n;
  const before = useRef(newest);
  useEffect(() => {
    const at = scroll.current;
    const added = messages.findIndex(it => it.n === before.current);
    if (at && added > 0 && at.scrollTop > ROW) at.scrollTop += added * ROW;
    before.current = newest;
  }, [newest, messages]);

  const at = messages.findIndex(it => it.n === chosen);
  return (
    <div className={styles.list}>
      {/* biome-ignore lint/a11y/noStaticElementInteractions: the arrows go from link to link in it */}
      <div
        className={styles.scroll}
        ref={scroll}
        onKeyDown={event => {
          const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 15, PageUp: -15 }[event.key];
          if (step === undefined) return;
          const focused = (document.activeElement as HTMLElement | null)?.dataset.index;
          const to = Math.max(
            0,
            Math.min(messages.length - 1, (focused === undefined ? at : Number(focused)) + step),
          );
          const row = messages[to];
          if (!row) return;
          event.preventDefault();
          virtual.scrollToIndex(to);
          if (chosen !== undefined) go(`/traffic/${row.n}`);
          requestAnimationFrame(() =>
            scroll.current?.querySelector<HTMLElement>(`[data-index="${to}"]`)?.focus(),
          );
        }}
      >
        <ul style={{ height: virtual.getTotalSize() }} aria-label="Messages, the newest first">
          {items.map(({ key, index, start }) => {
            const it = messages[index];
            if (!it) return null;
            return (
              <li key={key} style={{ transform: `translateY(${start}px)` }}>
                <Row
                  of={it}
                  index={index}
                  isChosen={it.n === chosen}
                  isStop={it.n === chosen || (at < 0 && index === 0)}
                  isPinned={pinned.has(it.n)}
                  label={labels?.get(it.server)}
                />
              </li>
            );
          })}
        </ul>
      </div>
    </div>
  );
}

const Row = memo(function Row({
  of,
  index,
  isChosen,
  isStop,
  isPinned,
  label,
}: {
  of: Brief;
  index: number;
  isChosen: boolean;
  isStop: boolean;
  isPinned: boolean;
  label: string | undefined;
}) {
  return (
    <Link
      href={`/traffic/${of.n}`}
      className={styles.row ?? ""}
      data-index={index}
      data-from={of.from}
      data-kind={of.kind}
      tabIndex={isStop ? 0 : -1}
      {...(isChosen ? { "aria-current": "true" as const } : {})}
    >
      <time>{clock(of.at)}</time>
      <Direction of={of} />
      <span className={styles.method}>
        <Seen text={of.method ?? (of.kind === "garbled" ? "no message" : "unknown")} />
        {of.kind === "request" || of.kind === "notification" ? null : (
          <span className={styles.kind}> {of.kind === "garbled" ? "" : of.kind}</span>
        )}
      </span>
      <span className={styles.marks}>
        {isPinned ? <IconPinFilled size={14} aria-label="pinned" /> : null}
        {of.violation ? (
          <IconAlertTriangle size={15} aria-label="against the protocol" className={styles.bad} />
        ) : null}
        {of.done ? <span className={styles.done}>{of.done}</span> : null}
        {of.worst ? <Severity of={of.worst} /> : null}
        {label ? (
          <span className={styles.server}>
            <Seen text={label} />
          </span>
        ) : null}
      </span>
      <span className={styles.ms}>{of.ms === undefined ? "" : duration(of.ms)}</span>
      <span className={styles.bytes}>{size(of.bytes)}</span>
    </Link>
  );
});

function Direction({ of }: { of: Brief }) {
  const says = `from the ${of.from}${of.to ? ` to the ${of.to}` : ", not passed on"}`;
  const Icon = of.from === "server" ? IconArrowLeft : IconArrowRight;
  return of.to ? (
    <Icon size={16} className={styles.arrow} role="img" aria-label={says} />
  ) : (
    <IconX size={16} className={styles.bad} role="img" aria-label={says} />
  );
}

function Detail({ n, isPinned, pin }: { n: number; isPinned: boolean; pin: () => void }) {
  const { data, error } = useQuery({
    queryKey: ["message", n],
    queryFn: () => get<Message>(`/api/messages/${n}`),
  });
  return (
    <section className={styles.detail} aria-label={`Message ${n}`}>
      {error ? (
        <Problem of={error} />
      ) : data ? (
        <Whole of={data} isPinned={isPinned} pin={pin} />
      ) : (
        <Busy says="Reading" />
      )}
    </section>
  );
}

function parsed(text: string | undefined): JsonMap | undefined {
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as JsonMap;
  } catch {
    return undefined;
  }
}

function Whole({ of, isPinned, pin }: { of: Message; isPinned: boolean; pin: () => void }) {
  const server = useKnown(it => it.servers.find(each => each.id === of.server));
  const value = useMemo(() => parsed(of.text), [of.text]);
  const isOurs = of.kind === "request" && of.from === "client";
  const params = value?.params as JsonMap | undefined;
  const findings = of.records?.flatMap(it => it.findings ?? []) ?? [];
  return (
    <>
      <header className={styles.head}>
        <div>
          <h2>
            <Seen text={of.method ?? of.kind} />
          </h2>
          <p>
            Message {of.n}, {of.kind}
          </p>
        </div>
        <ActionIcon
          variant="subtle"
          color="gray"
          size="lg"
          aria-label={isPinned ? "Unpin" : "Pin"}
          aria-pressed={isPinned}
          onClick={pin}
        >
          {isPinned ? <IconPinFilled size={18} /> : <IconPin size={18} />}
        </ActionIcon>
        <Link href="/traffic" className={styles.close ?? ""} aria-label="Close">
          <IconX size={18} aria-hidden />
        </Link>
      </header>
      <Facts
        of={[
          ["At", clock(of.at)],
          ["Way", `${of.from}${of.to ? ` to ${of.to}` : ", not passed on"}`],
          ["Server", server ? <Seen text={server.label} /> : of.server],
          ["Took", of.ms === undefined ? null : duration(of.ms)],
          ["Size", size(of.bytes)],
          ["Id", of.id === undefined ? null : JSON.stringify(of.id)],
        ]}
      />
      {of.violation ? (
        <p className={styles.violation}>
          <IconAlertTriangle size={16} aria-hidden /> This breaks the protocol.
        </p>
      ) : null}
      {isOurs && server && of.method ? (
        <Again server={server.id} method={of.method} params={params}>
          <Copy text={asCall(server, of.method, withoutMeta(params))} label="Copy as stockade call" />
        </Again>
      ) : null}
      {findings.length ? (
        <div className={styles.findings}>
          {findings.map((it, index) => (
            <FindingNote key={`${index}-${it.rule}`} of={it} place />
          ))}
        </div>
      ) : null}
      <Tabs defaultValue={value ? "json" : "bytes"} keepMounted={false} className={styles.tabs ?? ""}>
        <Tabs.List>
          {value ? <Tabs.Tab value="json">JSON</Tabs.Tab> : null}
          <Tabs.Tab value="bytes">Bytes</Tabs.Tab>
          {of.sent === undefined ? null : <Tabs.Tab value="sent">As passed on</Tabs.Tab>}
          {of.http ? <Tabs.Tab value="http">HTTP</Tabs.Tab> : null}
          {of.records?.length ? <Tabs.Tab value="records">Ledger</Tabs.Tab> : null}
        </Tabs.List>
        <Tabs.Panel value="json" className={styles.panel}>
          <Json value={value} label="The message" />
        </Tabs.Panel>
        <Tabs.Panel value="bytes" className={styles.panel}>
          <Long text={of.text ?? of.base64 ?? ""} />
        </Tabs.Panel>
        <Tabs.Panel value="sent" className={styles.panel}>
          <Long text={of.sent ?? ""} />
        </Tabs.Panel>
        <Tabs.Panel value="http" className={styles.panel}>
          <Http of={of} />
        </Tabs.Panel>
        <Tabs.Panel value="records" className={styles.panel}>
          <Json value={of.records} label="What the ledger was told" />
        </Tabs.Panel>
      </Tabs>
    </>
  );
}

function withoutMeta(params: JsonMap | undefined): JsonMap | undefined {
  if (!params) return undefined;
  const { _meta, ...rest } = params;
  return rest;
}

/** Sends it once more, as it was or as somebody changes it. */
function Again({
  server,
  method,
  params,
  children,
}: {
  server: string;
  method: string;
  params: JsonMap | undefined;
  children: React.ReactNode;
}) {
  const [open, { toggle, close }] = useDisclosure(false);
  const [edited, setEdited] = useState(() => draft(withoutMeta(params) ?? {}));
  const send = useMutation({
    mutationFn: (it: JsonMap | undefined) => ask(server, method, it),
    onSuccess: close,
  });
  return (
    <>
      <div className={styles.again}>
        <Button
          size="xs"
          variant="default"
          leftSection={<IconRepeat size={14} />}
          onClick={() => send.mutate(withoutMeta(params))}
          loading={send.isPending}
        >
          Replay
        </Button>
        <Button size="xs" variant="default" onClick={toggle} aria-expanded={open}>
          Edit and replay
        </Button>
        {children}
      </div>
      {send.isSuccess ? (
        <p className={styles.sent} role="status">
          It was asked again.
        </p>
      ) : null}
      {open ? (
        <div className={styles.edit}>
          <JsonEditor
            label="Parameters"
            value={edited.text}
            onChange={it => setEdited(written(it, edited))}
            lines={6}
          />
          <Button
            size="xs"
            disabled={edited.wrong !== null}
            onClick={() => send.mutate(edited.value as JsonMap)}
            loading={send.isPending}
          >
            Send
          </Button>
        </div>
      ) : null}
      <Problem of={send.error} />
    </>
  );
}

function Http({ of }: { of: Message }) {
  const { http } = of;
  if (!http) return null;
  return (
    <div className={styles.http}>
      <p>
        <strong>{http.method}</strong> <Seen text={http.target ?? ""} /> {http.status}
      </p>
      <Headers title="Asked with" of={http.headers} />
      <Headers title="Answered with" of={http.answerHeaders} />
    </div>
  );
}

function Headers({ title, of }: { title: string; of: [string, string][] | undefined }) {
  if (!of?.length) return null;
  return (
    <table>
      <caption>{title}</caption>
      <tbody>
        {of.map(([name, value], index) => (
          <tr key={`${index}-${name}`}>
            <th scope="row">
              <Seen text={name} />
            </th>
            <td>
              <Seen text={value} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
