import { ActionIcon, Drawer, useComputedColorScheme, useMantineColorScheme } from "@mantine/core";
import { useDisclosure, useMediaQuery } from "@mantine/hooks";
import {
  IconArrowsLeftRight,
  IconBell,
  IconFileText,
  IconMenu2,
  IconMessage2,
  IconMoon,
  IconNotebook,
  IconServer2,
  IconShieldCheck,
  IconShieldExclamation,
  IconSun,
  IconTerminal2,
  IconTool,
} from "@tabler/icons-react";
import { type ReactNode, useEffect, useRef } from "react";
import { Link, useLocation } from "wouter";
import { useDefinitions } from "./api/definitions.ts";
import { useKnown, useQuestions, useServer } from "./api/store.ts";
import { ServerPick } from "./parts/server-pick.tsx";
import styles from "./shell.module.css";

interface Entry {
  to: string;
  label: string;
  icon: typeof IconTool;
  count?: number | undefined;
  alarm?: boolean;
}

export function Shell({ children }: { children: ReactNode }) {
  const [path] = useLocation();
  const [open, drawer] = useDisclosure(false);
  const isNarrow = useMediaQuery("(max-width: 56rem)", undefined, { getInitialValueInEffect: false });
  const main = useRef<HTMLElement>(null);
  const page = path.split("/")[1] ?? "";
  const before = useRef("");

  // On another page the keyboard begins at its beginning.
  // biome-ignore lint/correctness/useExhaustiveDependencies: the page is what it is about
  useEffect(() => {
    drawer.close();
    if (before.current && before.current !== page) main.current?.focus({ preventScroll: true });
    before.current = page;
    window.scrollTo(0, 0);
  }, [page]);

  return (
    <div className={styles.shell}>
      <button type="button" className={styles.skip} onClick={() => main.current?.focus()}>
        To the page
      </button>
      {isNarrow ? (
        <header className={styles.top}>
          <ActionIcon
            variant="subtle"
            color="gray"
            size="lg"
            aria-label="Menu"
            aria-expanded={open}
            onClick={drawer.open}
          >
            <IconMenu2 size={20} />
          </ActionIcon>
          <Brand />
          <Waiting />
        </header>
      ) : (
        <header className={styles.side}>
          <Side />
        </header>
      )}
      {isNarrow ? (
        <Drawer.Root opened={open} onClose={drawer.close} size="17rem" lockScroll={false} padding={0}>
          <Drawer.Overlay />
          <Drawer.Content aria-label="Menu">
            <div className={styles.drawer}>
              <Side />
            </div>
          </Drawer.Content>
        </Drawer.Root>
      ) : null}
      <main className={styles.main} id="main" ref={main} tabIndex={-1}>
        <Lost />
        {children}
      </main>
    </div>
  );
}

function Brand() {
  return (
    <Link href="/servers" className={styles.brand}>
      <img src="/icon.svg" alt="" width="26" height="26" />
      <span>Stockade</span>
    </Link>
  );
}

/** What a narrow screen says of requests that wait: they are not seen in its menu. */
function Waiting() {
  const waiting = useQuestions().length;
  if (!waiting) return null;
  return (
    <Link href="/requests" className={styles.waiting} aria-label={`${waiting} requests wait`}>
      <IconBell size={16} aria-hidden />
      {waiting}
    </Link>
  );
}

function Side() {
  const server = useServer();
  const { data } = useDefinitions(server?.id, false);
  const waiting = useQuestions().length;
  const messages = useKnown(it => it.lastMessage);
  const count = (...named: string[]) =>
    data?.items.filter(it => named.includes(it.part) && it.raw).length || undefined;
  const findings = data?.items.reduce((sum, it) => sum + (it.findings?.length ?? 0), 0) || undefined;
  const capable = (name: string) => !server?.begun?.capabilities || name in server.begun.capabilities;

  const offered: Entry[] = [
    { to: "/tools", label: "Tools", icon: IconTool, count: count("tool") },
    { to: "/prompts", label: "Prompts", icon: IconMessage2, count: count("prompt") },
    { to: "/resources", label: "Resources", icon: IconFileText, count: count("resource", "template") },
  ].filter(it => capable(it.label.toLowerCase()) || it.count);
  const said: Entry[] = [
    { to: "/requests", label: "Requests", icon: IconBell, count: waiting || undefined, alarm: waiting > 0 },
    { to: "/traffic", label: "Traffic", icon: IconArrowsLeftRight, count: messages || undefined },
    { to: "/logs", label: "Logs", icon: IconTerminal2 },
  ];
  const judged: Entry[] = [
    { to: "/findings", label: "Findings", icon: IconShieldExclamation, count: findings },
    { to: "/guard", label: "Guard", icon: IconShieldCheck },
    { to: "/ledger", label: "Ledger", icon: IconNotebook },
  ];
  return (
    <>
      <div className={styles.head}>
        <Brand />
        <ServerPick />
      </div>
      <nav aria-label="Pages" className={styles.nav}>
        <Group entries={[{ to: "/servers", label: "Servers", icon: IconServer2 }]} />
        <Group title="Offers" entries={offered} />
        <Group title="Conversation" entries={said} />
        <Group title="Checks" entries={judged} />
      </nav>
      <div className={styles.foot}>
        <State />
        <Scheme />
      </div>
    </>
  );
}

function Group({ title, entries }: { title?: string; entries: Entry[] }) {
  const [path] = useLocation();
  return (
    <div>
      {title ? <p className={styles.group}>{title}</p> : null}
      <ul className={styles.entries}>
        {entries.map(({ to, label, icon: Icon, count, alarm }) => (
          <li key={to}>
            <Link
              href={to}
              className={styles.entry ?? ""}
              {...(path === to || path.startsWith(`${to}/`) ? { "aria-current": "page" as const } : {})}
            >
              <Icon size={18} stroke={1.7} aria-hidden />
              <span>{label}</span>
              {count === undefined ? null : (
                <span className={alarm ? styles.alarm : styles.count}>
                  {count > 99_999 ? "99k+" : count}
                  {alarm ? <span className={styles.unseen}> waiting</span> : null}
                </span>
              )}
            </Link>
          </li>
        ))}
      </ul>
    </div>
  );
}

function State() {
  const link = useKnown(it => it.link);
  const version = useKnown(it => it.about?.version);
  return (
    <p className={styles.state} data-is={link}>
      <span className={styles.dot} aria-hidden />
      <span role="status">{link === "live" ? "Live" : "Connecting again"}</span>
      <span className={styles.version}>{version}</span>
    </p>
  );
}

function Scheme() {
  const scheme = useComputedColorScheme("light");
  const { setColorScheme } = useMantineColorScheme({ keepTransitions: true });
  const other = scheme === "dark" ? "light" : "dark";
  return (
    <ActionIcon
      variant="subtle"
      color="gray"
      size="lg"
      aria-label={`Switch to ${other}`}
      onClick={() => setColorScheme(other)}
    >
      {scheme === "dark" ? <IconSun size={18} /> : <IconMoon size={18} />}
    </ActionIcon>
  );
}

function Lost() {
  const link = useKnown(it => it.link);
  if (link !== "lost") return null;
  return (
    <p className={styles.lost} role="alert">
      The connection to the program is lost. It is tried again; what is shown may not be true any more.
    </p>
  );
}
