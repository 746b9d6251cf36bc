import { Badge, Button, Spoiler, Tabs } from "@mantine/core";
import { IconRefresh, IconScale, IconSend2 } from "@tabler/icons-react";
import { useMutation } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { useParams } from "wouter";
import { useCall } from "../api/call.ts";
import { ofPart, titleOf, useDefinitions, useListAgain } from "../api/definitions.ts";
import { post } from "../api/http.ts";
import { useServer } from "../api/store.ts";
import type { Item, Json as JsonMap, Server } from "../api/types.ts";
import { asCall } from "../lib/copy.ts";
import { beginning } from "../lib/schema.ts";
import { Arguments, type Draft, draft } from "../parts/arguments.tsx";
import { Copy } from "../parts/copy.tsx";
import { Decision } from "../parts/decision.tsx";
import { Definition, DifferenceMark, ItemHead } from "../parts/definition.tsx";
import { Count } from "../parts/findings.tsx";
import styles from "../parts/item.module.css";
import { Page } from "../parts/page.tsx";
import { Result } from "../parts/result.tsx";
import { Seen } from "../parts/seen.tsx";
import { type Row, Split } from "../parts/split.tsx";
import { Busy, Empty, Problem } from "../parts/states.tsx";
import { NeedsServer } from "./servers.tsx";

export default function ToolsPage() {
  const server = useServer();
  const { name } = useParams<{ name?: string }>();
  const chosen = name === undefined ? undefined : decodeURIComponent(name);
  const isReady = server?.state === "ready";
  const { data, error, isPending } = useDefinitions(server?.id, isReady);
  const listAgain = useListAgain(server?.id);
  const again = useMutation({ mutationFn: listAgain });
  const tools = useMemo(() => ofPart(data, "tool"), [data]);
  const rows = useMemo(
    () =>
      tools.map(
        (it): Row => ({
          key: it.name,
          to: `/tools/${encodeURIComponent(it.name)}`,
          title: it.name,
          says: titleOf(it) || String(it.raw?.description ?? ""),
          marks: (
            <>
              <DifferenceMark of={it} />
              <Count findings={it.findings} />
            </>
          ),
        }),
      ),
    [tools],
  );
  const tool = tools.find(it => it.name === chosen);
  const said = data?.lists.tools;
  if (!server || !isReady)
    return (
      <Page title="Tools">
        <NeedsServer server={server} />
      </Page>
    );
  return (
    <Page
      title="Tools"
      fill
      actions={
        <Button
          variant="default"
          leftSection={<IconRefresh size={16} />}
          onClick={() => again.mutate()}
          loading={again.isPending}
        >
          List again
        </Button>
      }
    >
      {isPending ? (
        <Busy says="Listing the tools" />
      ) : error ? (
        <Problem of={error} title="They could not be listed" />
      ) : rows.length === 0 ? (
        <Empty title="It has no tools">
          {said && said !== "ok" ? `It answers: ${said}` : "It lists none."}
        </Empty>
      ) : (
        <Split rows={rows} chosen={chosen} back="/tools" label="Tools">
          {tool ? (
            <Tool key={`${server.id} ${tool.name}`} server={server} tool={tool} />
          ) : chosen === undefined ? (
            <Empty title="Choose a tool">
              What a model would read of it is shown, what the rules found in that, and a form to call it.
            </Empty>
          ) : (
            <Empty title="There is no such tool" />
          )}
        </Split>
      )}
    </Page>
  );
}

/** What was filled in is still there when somebody comes back. */
const drafts = new Map<string, Draft>();

function Tool({ server, tool }: { server: Server; tool: Item }) {
  const schema = tool.raw?.inputSchema;
  const key = `${server.id} ${tool.name}`;
  const [filled, setFilled] = useState(() => drafts.get(key) ?? draft(beginning(schema)));
  const call = useCall(server.id, `tools/call ${tool.name}`);
  const judge = useMutation({
    mutationFn: () =>
      post<JsonMap>(`/api/servers/${server.id}/judge`, { tool: tool.name, arguments: filled.value }),
  });
  const change = (it: Draft) => {
    drafts.set(key, it);
    setFilled(it);
    judge.reset();
  };
  const params = { name: tool.name, arguments: filled.value as JsonMap };
  const gone = tool.raw === undefined;
  return (
    <>
      <ItemHead of={tool}>
        <Hints of={tool} />
      </ItemHead>
      <Tabs defaultValue={gone ? "definition" : "call"} keepMounted={false}>
        <Tabs.List>
          {gone ? null : <Tabs.Tab value="call">Call</Tabs.Tab>}
          <Tabs.Tab value="definition">
            <span className={styles.tab}>
              Definition <Count findings={tool.findings} />
            </span>
          </Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="call" className={styles.panel}>
          <Brief of={tool} />
          <form
            onSubmit={event => {
              event.preventDefault();
              if (filled.wrong === null) call.run("tools/call", params);
            }}
          >
            <Arguments schema={schema} draft={filled} onChange={change} prefix="tool" label="Arguments" />
            <div className={styles.actions}>
              <Button type="submit" leftSection={<IconSend2 size={16} />} disabled={filled.wrong !== null}>
                Call
              </Button>
              <Button
                variant="default"
                leftSection={<IconScale size={16} />}
                onClick={() => judge.mutate()}
                loading={judge.isPending}
                disabled={filled.wrong !== null}
              >
                What would the policy do?
              </Button>
              <Copy text={asCall(server, "tools/call", params)} label="Copy as stockade call" />
            </div>
          </form>
          <Problem of={judge.error} />
          {judge.data ? <Decision of={judge.data} /> : null}
          <Result call={call} />
        </Tabs.Panel>
        <Tabs.Panel value="definition" className={styles.panel}>
          <Definition of={tool} />
        </Tabs.Panel>
      </Tabs>
    </>
  );
}

/** What it says it is for: the beginning of it, and the rest when somebody wants it. */
function Brief({ of }: { of: Item }) {
  const description = of.raw?.description;
  if (typeof description !== "string" || !description) return null;
  return (
    <Spoiler maxHeight={72} showLabel="All of it" hideLabel="Less" className={styles.brief}>
      <Seen text={description} />
    </Spoiler>
  );
}

const HINTS: [string, string, string][] = [
  ["readOnlyHint", "says it only reads", "says it may write"],
  ["destructiveHint", "says it may destroy", "says it destroys nothing"],
  ["idempotentHint", "says again is the same", "says again is more"],
  ["openWorldHint", "says it reaches outside", "says it stays inside"],
];

/** What it says of itself, which may be a lie. */
function Hints({ of }: { of: Item }) {
  const annotations = of.raw?.annotations as Record<string, unknown> | undefined;
  if (!annotations) return null;
  return (
    <>
      {HINTS.map(([key, yes, no]) =>
        typeof annotations[key] === "boolean" ? (
          <Badge key={key} variant="default" tt="none" fw={500}>
            {annotations[key] ? yes : no}
          </Badge>
        ) : null,
      )}
    </>
  );
}
