import { Badge, Button } from "@mantine/core";
import { IconPlayerPlay, IconPlayerStop, IconPlus, IconTrash } from "@tabler/icons-react";
import { useMutation } from "@tanstack/react-query";
import { lazy, Suspense, useEffect } from "react";
import { Link, useLocation, useParams } from "wouter";
import { useSaid } from "../api/definitions.ts";
import { post, remove } from "../api/http.ts";
import { choose, useKnown } from "../api/store.ts";
import type { Finding, Info, Server } from "../api/types.ts";
import { FindingNote } from "../parts/findings.tsx";
import { Json } from "../parts/json.tsx";
import { Card, Facts, Page, Part } from "../parts/page.tsx";
import { Seen } from "../parts/seen.tsx";
import { StateDot, stateSays } from "../parts/server-pick.tsx";
import { type Row, Split } from "../parts/split.tsx";
import { Busy, Empty, Problem } from "../parts/states.tsx";
import styles from "./servers.module.css";

const AddServer = lazy(() => import("./add-server.tsx"));
const Roots = lazy(() => import("./roots.tsx"));

export function ServersPage() {
  const { id } = useParams<{ id?: string }>();
  const servers = useKnown(it => it.servers);
  const server = servers.find(it => it.id === id);
  const [, go] = useLocation();
  const rows = servers.map(
    (it): Row => ({
      key: it.id,
      to: `/servers/${it.id}`,
      title: it.label,
      says: it.url ?? it.command?.join(" ") ?? "",
      marks: (
        <span className={styles.state}>
          <StateDot state={it.state} /> {stateSays(it.state)}
        </span>
      ),
    }),
  );
  const actions = (
    <Button leftSection={<IconPlus size={16} />} onClick={() => go("/servers/new")}>
      Add a server
    </Button>
  );

  // Where there is one, it is looked at; where there is none, one is added.
  const only = servers[0]?.id;
  useEffect(() => {
    if (id !== undefined) return;
    if (only === undefined) go("/servers/new", { replace: true });
    else if (window.matchMedia("(min-width: 56rem)").matches) go(`/servers/${only}`, { replace: true });
  }, [id, only, go]);

  useEffect(() => {
    if (server) choose(server.id);
  }, [server]);

  const detail =
    id === "new" ? (
      <Suspense fallback={<Busy says="Loading the form" />}>
        <AddServer />
      </Suspense>
    ) : server ? (
      <Detail key={server.id} server={server} />
    ) : id ? (
      <Empty title="There is no such server" />
    ) : null;
  return (
    <Page title="Servers" actions={servers.length && id !== "new" ? actions : null} fill>
      {servers.length ? (
        <Split rows={rows} chosen={id} back="/servers" label="Servers">
          {detail}
        </Split>
      ) : (
        detail
      )}
    </Page>
  );
}

function Detail({ server }: { server: Server }) {
  const [, go] = useLocation();
  const start = useMutation({
    mutationFn: () => post(`/api/servers/${server.id}/start`, { confirm: server.confirm }),
  });
  const stop = useMutation({ mutationFn: () => post(`/api/servers/${server.id}/stop`, {}) });
  const forget = useMutation({
    mutationFn: () => remove(`/api/servers/${server.id}`),
    onSuccess: () => go("/servers"),
  });
  const { data } = useSaid(server);
  const said = data?.begun.instructions ?? server.begun?.instructions;
  const runs = server.state === "ready" || server.state === "starting";
  const info = {
    ...(data?.begun.serverInfo ??
      (data?.begun._meta?.["io.modelcontextprotocol/serverInfo"] as Info | undefined) ??
      server.begun?.serverInfo),
  };
  const capabilities = Object.keys(server.begun?.capabilities ?? {});
  return (
    <>
      <div className={styles.head}>
        <div className={styles.name}>
          <h2>
            <Seen text={server.label} />
          </h2>
          <p>
            <StateDot state={server.state} /> {stateSays(server.state)}
            {server.state === "ready" && server.readyMs !== undefined
              ? `, after ${Math.round(server.readyMs)} ms`
              : ""}
          </p>
        </div>
        <div className={styles.actions}>
          {runs ? (
            <Button
              variant="default"
              leftSection={<IconPlayerStop size={16} />}
              onClick={() => stop.mutate()}
              loading={stop.isPending}
            >
              Stop
            </Button>
          ) : server.state === "planned" ? null : (
            <Button
              leftSection={<IconPlayerPlay size={16} />}
              onClick={() => start.mutate()}
              loading={start.isPending}
            >
              Start again
            </Button>
          )}
          <Button
            variant="subtle"
            color="gray"
            leftSection={<IconTrash size={16} />}
            onClick={() => forget.mutate()}
            loading={forget.isPending}
          >
            Remove
          </Button>
        </div>
      </div>
      <Problem of={start.error ?? stop.error ?? forget.error} />
      {server.state === "failed" || (server.state === "ended" && server.why) ? (
        <Problem
          of={server.why ?? "It says nothing."}
          title={server.state === "failed" ? "It did not start" : "It has ended"}
        />
      ) : null}

      {server.state === "planned" ? (
        <div className={styles.plan}>
          <h3>Start this server?</h3>
          <p>A server is a program that somebody else wrote. Read what will run, and what holds it.</p>
          <Command server={server} />
          {server.plan ? (
            // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls can be scrolled by the keyboard
            <pre className={styles.words} tabIndex={0} role="group" aria-label="What holds it">
              <Seen text={server.plan} />
            </pre>
          ) : null}
          <Button
            leftSection={<IconPlayerPlay size={16} />}
            onClick={() => start.mutate()}
            loading={start.isPending}
          >
            Start it
          </Button>
        </div>
      ) : (
        <Part title={server.transport === "http" ? "Address" : "Command"}>
          <Command server={server} />
          {server.held ? (
            <p className={styles.held}>
              <Seen text={server.held} />
            </p>
          ) : null}
        </Part>
      )}

      {server.begun ? (
        <Part title="What it says of itself" hint="In its own words, which nobody has checked.">
          <Card>
            <Facts
              of={[
                ["Name", info?.name ? <Seen text={info.name} /> : null],
                ["Title", info?.title ? <Seen text={info.title} /> : null],
                ["Version", info?.version ? <Seen text={info.version} /> : null],
                ["Revision", server.revision],
                ["Era", server.era],
                ["Transport", server.transport === "http" ? "HTTP" : "stdio"],
              ]}
            />
            {capabilities.length ? (
              <ul className={styles.chips} aria-label="Capabilities">
                {capabilities.map(it => (
                  <li key={it}>
                    <Badge variant="default" tt="none" fw={500}>
                      <Seen text={it} />
                    </Badge>
                  </li>
                ))}
              </ul>
            ) : null}
          </Card>
          <Notes of={data?.findings} />
          {typeof said === "string" && said ? (
            <div className={styles.instructions}>
              <h3>Instructions to the model</h3>
              <p>
                <Seen text={said} />
              </p>
            </div>
          ) : null}
        </Part>
      ) : null}

      {server.state === "ready" ? (
        <Suspense fallback={null}>
          <Roots server={server} />
        </Suspense>
      ) : null}

      {server.begun ? (
        <Part
          title="How it began"
          hint="Its answer to initialize or server/discover, and what this client declared."
        >
          <Card>
            <Json
              value={{ answered: server.begun, declared: server.declared, asked: server.spec }}
              label="How it began"
            />
          </Card>
        </Part>
      ) : null}
    </>
  );
}

/** What the rules found in it. */
function Notes({ of }: { of: Finding[] | undefined }) {
  if (!of?.length) return null;
  return (
    <div className={styles.notes}>
      {of.map((it, index) => (
        <FindingNote key={`${index}-${it.rule}`} of={it} place />
      ))}
    </div>
  );
}

/** What is started, word for word. */
function Command({ server }: { server: Server }) {
  if (server.url)
    return (
      <p className={styles.command}>
        <Seen text={server.url} />
      </p>
    );
  return (
    <ol className={styles.command} aria-label="The words of the command">
      {(server.command ?? []).map((word, index) => (
        <li key={index}>
          <Seen text={word} />
        </li>
      ))}
    </ol>
  );
}

/** What a page says that needs a server which runs. */
export function NeedsServer({ server }: { server: Server | null }) {
  const [, go] = useLocation();
  if (!server)
    return (
      <Empty title="No server yet" action={<Button onClick={() => go("/servers/new")}>Add a server</Button>}>
        Add one by its command, its address, or the configuration of a client.
      </Empty>
    );
  if (server.state === "starting") return <Busy says="The server is starting" />;
  return (
    <Empty
      title={server.state === "planned" ? "It has not been started" : "The server does not run"}
      action={
        <Link href={`/servers/${server.id}`}>
          <Button component="span">Look at the server</Button>
        </Link>
      }
    >
      {server.why ? <Seen text={server.why} /> : null}
    </Empty>
  );
}
