import { Button, Switch, Tabs } from "@mantine/core";
import { IconBook2, IconSend2 } from "@tabler/icons-react";
import { useMutation } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { useParams } from "wouter";
import { useCall } from "../api/call.ts";
import { ofPart, useDefinitions } from "../api/definitions.ts";
import { answered, ask, cancel, useKnown, useServer } from "../api/store.ts";
import type { Item, Server } from "../api/types.ts";
import { asCall } from "../lib/copy.ts";
import { expand, variables } from "../lib/template.ts";
import { clock } from "../lib/units.ts";
import { Copy } from "../parts/copy.tsx";
import { Definition, DifferenceMark, ItemHead } from "../parts/definition.tsx";
import { Count } from "../parts/findings.tsx";
import styles from "../parts/item.module.css";
import { Page } from "../parts/page.tsx";
import { Result } from "../parts/result.tsx";
import { Seen } from "../parts/seen.tsx";
import { type Row, Split } from "../parts/split.tsx";
import { Busy, Empty, Problem } from "../parts/states.tsx";
import { Completed } from "./prompts.tsx";
import { NeedsServer } from "./servers.tsx";

const uriOf = (it: Item) => String(it.raw?.uri ?? it.raw?.uriTemplate ?? it.name);

const to = (kind: "read" | "template", uri: string) => `/resources/${kind}/${encodeURIComponent(uri)}`;

export default function ResourcesPage() {
  const server = useServer();
  const { kind, name } = useParams<{ kind?: string; name?: string }>();
  const uri = name === undefined ? undefined : decodeURIComponent(name);
  const isReady = server?.state === "ready";
  const { data, error, isPending } = useDefinitions(server?.id, isReady);
  const templates = useMemo(() => ofPart(data, "template"), [data]);
  const resources = useMemo(() => ofPart(data, "resource"), [data]);
  const rows = useMemo(() => {
    const row = (it: Item, kind: "read" | "template", index: number): Row => ({
      key: `${kind} ${uriOf(it)}`,
      to: to(kind, uriOf(it)),
      title: String(it.raw?.title ?? it.raw?.name ?? it.name),
      says: uriOf(it),
      ...(index === 0 ? { group: kind === "read" ? "Resources" : "Templates" } : {}),
      marks: (
        <>
          <DifferenceMark of={it} />
          <Count findings={it.findings} />
        </>
      ),
    });
    return [
      ...templates.map((it, index) => row(it, "template", index)),
      ...resources.map((it, index) => row(it, "read", index)),
    ];
  }, [templates, resources]);
  const template = kind === "template" ? templates.find(it => uriOf(it) === uri) : undefined;
  const resource = kind === "read" ? resources.find(it => uriOf(it) === uri) : undefined;
  if (!server || !isReady)
    return (
      <Page title="Resources">
        <NeedsServer server={server} />
      </Page>
    );
  const said = data?.lists.resources;
  return (
    <Page title="Resources" fill>
      {isPending ? (
        <Busy says="Listing the resources" />
      ) : error ? (
        <Problem of={error} title="They could not be listed" />
      ) : rows.length === 0 && uri === undefined ? (
        <Empty title="It has no resources">
          {said && said !== "ok" ? `It answers: ${said}` : "It lists none."}
        </Empty>
      ) : (
        <Split
          rows={rows}
          chosen={uri === undefined ? undefined : `${kind} ${uri}`}
          back="/resources"
          label="Resources"
        >
          {uri === undefined ? (
            <Empty title="Choose a resource">What it reads as is shown, and whether it changes.</Empty>
          ) : template ? (
            <Template key={uri} server={server} template={template} />
          ) : (
            <Resource key={uri} server={server} uri={uri} item={resource} />
          )}
        </Split>
      )}
    </Page>
  );
}

function Resource({ server, uri, item }: { server: Server; uri: string; item: Item | undefined }) {
  return (
    <>
      <ItemHead of={{ part: "resource", ...item, name: String(item?.raw?.name ?? uri) }} />
      <Tabs defaultValue="read" keepMounted={false}>
        <Tabs.List>
          <Tabs.Tab value="read">Read</Tabs.Tab>
          {item ? (
            <Tabs.Tab value="definition">
              <span className={styles.tab}>
                Definition <Count findings={item.findings} />
              </span>
            </Tabs.Tab>
          ) : null}
        </Tabs.List>
        <Tabs.Panel value="read" className={styles.panel}>
          <Read server={server} uri={uri} />
        </Tabs.Panel>
        {item ? (
          <Tabs.Panel value="definition" className={styles.panel}>
            <Definition of={item} />
          </Tabs.Panel>
        ) : null}
      </Tabs>
    </>
  );
}

function Read({ server, uri }: { server: Server; uri: string }) {
  const call = useCall(server.id, `resources/read ${uri}`);
  return (
    <>
      <p className={styles.uri}>
        <Seen text={uri} />
      </p>
      <div className={styles.actions}>
        <Button leftSection={<IconBook2 size={16} />} onClick={() => call.run("resources/read", { uri })}>
          Read
        </Button>
        <Copy text={asCall(server, "resources/read", { uri })} label="Copy as stockade call" />
        <Subscribe server={server} uri={uri} />
      </div>
      <Result call={call} />
    </>
  );
}

/** What is subscribed to, by server and address: of the modern era with the request that listens. */
const subscribed = new Map<string, string>();

function Subscribe({ server, uri }: { server: Server; uri: string }) {
  const key = `${server.id} ${uri}`;
  const [on, setOn] = useState(subscribed.has(key));
  const updates = useKnown(it => it.updates);
  const mine = updates.filter(it => it.server === server.id && it.params?.uri === uri);
  const { resources } = (server.begun?.capabilities ?? {}) as { resources?: { subscribe?: boolean } };
  const isModern = server.revision !== undefined && server.revision >= "2026-07-28";
  const turn = useMutation({
    mutationFn: async (want: boolean) => {
      if (isModern) {
        if (want) {
          const notifications = { resourceSubscriptions: [uri] };
          subscribed.set(key, await ask(server.id, "subscriptions/listen", { notifications }));
        } else {
          const request = subscribed.get(key);
          if (request) await cancel(server.id, request);
          subscribed.delete(key);
        }
      } else {
        const method = want ? "resources/subscribe" : "resources/unsubscribe";
        const { error } = await answered(server.id, method, { uri });
        if (error) throw new Error(error.message);
        if (want) subscribed.set(key, "");
        else subscribed.delete(key);
      }
      setOn(want);
    },
  });
  if (!resources?.subscribe) return null;
  return (
    <div className={styles.subscribe}>
      <Switch
        label="Tell me when it changes"
        checked={on}
        disabled={turn.isPending}
        onChange={event => turn.mutate(event.currentTarget.checked)}
      />
      {mine.length ? (
        <p role="status">
          Changed {mine.length === 1 ? "once" : `${mine.length} times`}, last at {clock(mine[0]?.at ?? 0)}
        </p>
      ) : null}
      <Problem of={turn.error} />
    </div>
  );
}

function Template({ server, template }: { server: Server; template: Item }) {
  const pattern = String(template.raw?.uriTemplate ?? "");
  const names = useMemo(() => variables(pattern), [pattern]);
  const [filled, setFilled] = useState<Record<string, string>>({});
  const given = Object.fromEntries(Object.entries(filled).filter(([, it]) => it !== ""));
  const made = expand(pattern, given);
  return (
    <>
      <ItemHead of={{ ...template, name: String(template.raw?.name ?? template.name) }} />
      <Tabs defaultValue="read" keepMounted={false}>
        <Tabs.List>
          <Tabs.Tab value="read">Read</Tabs.Tab>
          <Tabs.Tab value="definition">
            <span className={styles.tab}>
              Definition <Count findings={template.findings} />
            </span>
          </Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="read" className={styles.panel}>
          <p className={styles.uri}>
            <Seen text={pattern} />
          </p>
          <div className={styles.fields}>
            {names.map(name => (
              <Completed
                key={name}
                server={server}
                reference={{ type: "ref/resource", uri: pattern }}
                argument={{ name, required: true }}
                value={filled[name] ?? ""}
                others={given}
                onChange={value => setFilled({ ...filled, [name]: value })}
              />
            ))}
          </div>
          {"wrong" in made ? (
            <Problem of={made.wrong} title="This template cannot be filled in" />
          ) : (
            <div className={styles.filled}>
              <Filled key={made.uri} server={server} uri={made.uri} ready={names.every(it => given[it])} />
            </div>
          )}
        </Tabs.Panel>
        <Tabs.Panel value="definition" className={styles.panel}>
          <Definition of={template} />
        </Tabs.Panel>
      </Tabs>
    </>
  );
}

function Filled({ server, uri, ready }: { server: Server; uri: string; ready: boolean }) {
  const call = useCall(server.id, `resources/read ${uri}`);
  return (
    <>
      <p className={styles.uri}>
        <Seen text={uri} />
      </p>
      <div className={styles.actions}>
        <Button
          leftSection={<IconSend2 size={16} />}
          disabled={!ready}
          onClick={() => call.run("resources/read", { uri })}
        >
          Read
        </Button>
        <Copy text={asCall(server, "resources/read", { uri })} label="Copy as stockade call" />
      </div>
      <Result call={call} />
    </>
  );
}
