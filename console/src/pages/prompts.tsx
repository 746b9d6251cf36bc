import { Autocomplete, Button, Tabs } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { IconSend2 } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { useParams } from "wouter";
import { useCall } from "../api/call.ts";
import { ofPart, titleOf, useDefinitions } from "../api/definitions.ts";
import { answered, useServer } from "../api/store.ts";
import type { Item, Server } from "../api/types.ts";
import { asCall } from "../lib/copy.ts";
import { isMap } from "../lib/schema.ts";
import { written } from "../lib/visible.ts";
import { Copy } from "../parts/copy.tsx";
import { Definition, DifferenceMark, ItemHead } from "../parts/definition.tsx";
import { Count } from "../parts/findings.tsx";
import styles from "../parts/item.module.css";
import { Page } from "../parts/page.tsx";
import { Result } from "../parts/result.tsx";
import { type Row, Split } from "../parts/split.tsx";
import { Busy, Empty, Problem } from "../parts/states.tsx";
import { NeedsServer } from "./servers.tsx";

export default function PromptsPage() {
  const server = useServer();
  const { name } = useParams<{ name?: string }>();
  const chosen = name === undefined ? undefined : decodeURIComponent(name);
  const isReady = server?.state === "ready";
  const { data, error, isPending } = useDefinitions(server?.id, isReady);
  const prompts = useMemo(() => ofPart(data, "prompt"), [data]);
  const rows = useMemo(
    () =>
      prompts.map(
        (it): Row => ({
          key: it.name,
          to: `/prompts/${encodeURIComponent(it.name)}`,
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
    [prompts],
  );
  const prompt = prompts.find(it => it.name === chosen);
  const said = data?.lists.prompts;
  if (!server || !isReady)
    return (
      <Page title="Prompts">
        <NeedsServer server={server} />
      </Page>
    );
  return (
    <Page title="Prompts" fill>
      {isPending ? (
        <Busy says="Listing the prompts" />
      ) : error ? (
        <Problem of={error} title="They could not be listed" />
      ) : rows.length === 0 ? (
        <Empty title="It has no prompts">
          {said && said !== "ok" ? `It answers: ${said}` : "It lists none."}
        </Empty>
      ) : (
        <Split rows={rows} chosen={chosen} back="/prompts" label="Prompts">
          {prompt ? (
            <Prompt key={`${server.id} ${prompt.name}`} server={server} prompt={prompt} />
          ) : chosen === undefined ? (
            <Empty title="Choose a prompt">Its messages are shown as a model would get them.</Empty>
          ) : (
            <Empty title="There is no such prompt" />
          )}
        </Split>
      )}
    </Page>
  );
}

interface Argument {
  name: string;
  title?: string;
  description?: string;
  required?: boolean;
}

function Prompt({ server, prompt }: { server: Server; prompt: Item }) {
  const wants = (Array.isArray(prompt.raw?.arguments) ? prompt.raw.arguments : []).filter(
    (it): it is Argument & Record<string, unknown> => isMap(it) && typeof it.name === "string",
  );
  const [filled, setFilled] = useState<Record<string, string>>({});
  const call = useCall(server.id, `prompts/get ${prompt.name}`);
  const given = Object.fromEntries(Object.entries(filled).filter(([, it]) => it !== ""));
  const params = { name: prompt.name, ...(Object.keys(given).length ? { arguments: given } : {}) };
  return (
    <>
      <ItemHead of={prompt} />
      <Tabs defaultValue="get" keepMounted={false}>
        <Tabs.List>
          <Tabs.Tab value="get">Get</Tabs.Tab>
          <Tabs.Tab value="definition">
            <span className={styles.tab}>
              Definition <Count findings={prompt.findings} />
            </span>
          </Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="get" className={styles.panel}>
          <form
            onSubmit={event => {
              event.preventDefault();
              call.run("prompts/get", params);
            }}
          >
            <div className={styles.fields}>
              {wants.length ? null : <p className={styles.none}>It takes no arguments.</p>}
              {wants.map(it => (
                <Completed
                  key={it.name}
                  server={server}
                  reference={{ type: "ref/prompt", name: prompt.name }}
                  argument={it}
                  value={filled[it.name] ?? ""}
                  others={given}
                  onChange={value => setFilled({ ...filled, [it.name]: value })}
                />
              ))}
            </div>
            <div className={styles.actions}>
              <Button type="submit" leftSection={<IconSend2 size={16} />}>
                Get
              </Button>
              <Copy text={asCall(server, "prompts/get", params)} label="Copy as stockade call" />
            </div>
          </form>
          <Result call={call} />
        </Tabs.Panel>
        <Tabs.Panel value="definition" className={styles.panel}>
          <Definition of={prompt} />
        </Tabs.Panel>
      </Tabs>
    </>
  );
}

/** An argument that the server can complete, where it says that it does. */
export function Completed({
  server,
  reference,
  argument,
  value,
  others,
  onChange,
}: {
  server: Server;
  reference: { type: "ref/prompt"; name: string } | { type: "ref/resource"; uri: string };
  argument: Argument;
  value: string;
  others: Record<string, string>;
  onChange: (value: string) => void;
}) {
  const [typed] = useDebouncedValue(value, 200);
  const [on, setOn] = useState(false);
  const completes = "completions" in (server.begun?.capabilities ?? {});
  const { [argument.name]: _own, ...before } = others;
  const { data } = useQuery({
    queryKey: ["completion", server.id, reference, argument.name, typed, before],
    queryFn: async () => {
      const answer = await answered(server.id, "completion/complete", {
        ref: reference,
        argument: { name: argument.name, value: typed },
        ...(Object.keys(before).length ? { context: { arguments: before } } : {}),
      });
      const { values } = (answer.result?.completion ?? {}) as { values?: unknown };
      // A list of a server may hold anything, the same twice too.
      return Array.isArray(values) ? [...new Set(values.filter(it => typeof it === "string"))] : [];
    },
    enabled: completes && on,
    placeholderData: known => known,
  });
  return (
    <Autocomplete
      label={written(argument.title ? `${argument.title} (${argument.name})` : argument.name)}
      {...(argument.description ? { description: written(argument.description) } : {})}
      required={argument.required === true}
      value={value}
      onChange={onChange}
      onFocus={() => setOn(true)}
      data={data ?? []}
      filter={({ options }) => options}
      spellCheck={false}
    />
  );
}
