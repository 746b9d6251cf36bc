import { Menu, UnstyledButton } from "@mantine/core";
import { IconPlus, IconSelector } from "@tabler/icons-react";
import { useLocation } from "wouter";
import { choose, useKnown, useServer } from "../api/store.ts";
import type { Server } from "../api/types.ts";
import { Seen } from "./seen.tsx";
import styles from "./server-pick.module.css";

const SAYS: Record<Server["state"], string> = {
  planned: "not started",
  starting: "starting",
  ready: "running",
  ended: "ended",
  failed: "failed",
};

export function StateDot({ state }: { state: Server["state"] }) {
  return <span className={styles.dot} data-is={state} aria-hidden />;
}

export const stateSays = (state: Server["state"]) => SAYS[state];

/** Which server the pages are about. */
export function ServerPick() {
  const servers = useKnown(it => it.servers);
  const server = useServer();
  const [, go] = useLocation();
  return (
    <Menu position="bottom-start" width="target" withinPortal shadow="md">
      <Menu.Target>
        <UnstyledButton className={styles.pick}>
          {server ? <StateDot state={server.state} /> : null}
          <span className={styles.text}>
            <span className={styles.label}>{server ? <Seen text={server.label} /> : "No server"}</span>
            <span className={styles.says}>
              {server
                ? [stateSays(server.state), server.revision].filter(it => it).join(" · ")
                : "Add one to begin"}
            </span>
          </span>
          <IconSelector size={16} aria-label="Choose another server" role="img" />
        </UnstyledButton>
      </Menu.Target>
      <Menu.Dropdown>
        {servers.map(it => (
          <Menu.Item key={it.id} leftSection={<StateDot state={it.state} />} onClick={() => choose(it.id)}>
            <Seen text={it.label} />
          </Menu.Item>
        ))}
        {servers.length ? <Menu.Divider /> : null}
        <Menu.Item leftSection={<IconPlus size={16} />} onClick={() => go("/servers/new")}>
          Add a server
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
