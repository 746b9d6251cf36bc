import {
  Accordion,
  Button,
  Checkbox,
  NumberInput,
  SegmentedControl,
  Select,
  Textarea,
  TextInput,
} from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { type FormEvent, useMemo, useState } from "react";
import { useLocation } from "wouter";
import { post } from "../api/http.ts";
import { choose, useKnown } from "../api/store.ts";
import type { Server, Spec } from "../api/types.ts";
import { line as lineOf, type Pasted, pasted, words } from "../lib/paste.ts";
import { draft, written } from "../parts/arguments.tsx";
import { JsonEditor } from "../parts/editor.tsx";
import { mapOf, type Pair, Pairs, pairsOf } from "../parts/pairs.tsx";
import { Seen } from "../parts/seen.tsx";
import { Problem } from "../parts/states.tsx";
import styles from "./servers.module.css";

type How = "command" | "url" | "paste" | "policy";

const CAPABILITIES: [string, string, unknown][] = [
  ["sampling", "Sampling", { tools: {}, context: {} }],
  ["elicitation", "Elicitation", { form: {}, url: {} }],
  ["roots", "Roots", { listChanged: true }],
];

/** Says what a server is. Nothing is started before it was seen what that would be. */
export default function AddServer() {
  const about = useKnown(it => it.about);
  const [, go] = useLocation();
  const [how, setHow] = useState<How>("command");
  const [line, setLine] = useState("");
  const [url, setUrl] = useState("");
  const [paste, setPaste] = useState("");
  const [name, setName] = useState<string | null>(null);
  const [label, setLabel] = useState("");
  const [era, setEra] = useState("legacy");
  const [env, setEnv] = useState<Pair[]>([]);
  const [passEnv, setPassEnv] = useState("");
  const [headers, setHeaders] = useState<Pair[]>([]);
  const [timeout, setTimeout_] = useState<number | string>("");
  const [total, setTotal] = useState<number | string>("");
  const [declared, setDeclared] = useState(CAPABILITIES.map(([key]) => key));
  const [meta, setMeta] = useState(draft({}));
  const [sandbox, setSandbox] = useState("native");
  const [directories, setDirectories] = useState("");
  const [net, setNet] = useState("");
  const [trace, setTrace] = useState(false);
  const [consent, setConsent] = useState(false);

  const parsed = useMemo(() => (line.trim() ? words(line) : null), [line]);
  const found = useMemo(() => (paste.trim() ? pasted(paste) : null), [paste]);
  const isRemote = how === "url";

  const spec = (): Spec => {
    const environment = mapOf(env);
    const lines = (text: string) => text.split(/[\n,]/).flatMap(it => it.trim() || []);
    const of: Spec =
      how === "command"
        ? { command: parsed && "words" in parsed ? parsed.words : [] }
        : how === "url"
          ? { url: url.trim() }
          : { name: name ?? "" };
    const capabilities = Object.fromEntries(
      CAPABILITIES.filter(([key]) => declared.includes(key)).map(([key, , value]) => [key, value]),
    );
    return {
      ...of,
      ...(label.trim() ? { label: label.trim() } : {}),
      era,
      ...(env.length && !isRemote ? { env: environment } : {}),
      ...(passEnv.trim() && !isRemote ? { passEnv: lines(passEnv) } : {}),
      ...(headers.length && isRemote ? { headers: mapOf(headers) } : {}),
      ...(meta.wrong === null && Object.keys(meta.value as object).length
        ? { meta: meta.value as Spec["meta"] & object }
        : {}),
      ...(typeof timeout === "number" ? { timeout } : {}),
      ...(typeof total === "number" ? { total } : {}),
      ...(declared.length === CAPABILITIES.length ? {} : { capabilities }),
      ...(isRemote
        ? {}
        : {
            sandbox: {
              how: sandbox,
              ...(directories.trim() ? { roots: lines(directories) } : {}),
              ...(net.trim() ? { net: lines(net) } : {}),
              ...(trace ? { trace } : {}),
            },
            ...(consent ? { consent } : {}),
          }),
    };
  };

  const add = useMutation({
    mutationFn: (it: Spec) => post<Server>("/api/servers", it),
    onSuccess: server => {
      choose(server.id);
      go(`/servers/${server.id}`);
    },
  });

  const take = (it: Pasted) => {
    if (it.url) setUrl(it.url);
    else setLine(lineOf(it.command));
    setLabel(it.name);
    setEnv(pairsOf(it.env));
    setHeaders(pairsOf(it.headers));
    setHow(it.url ? "url" : "command");
  };

  const submit = (event: FormEvent) => {
    event.preventDefault();
    add.mutate(spec());
  };

  const ready =
    how === "command"
      ? parsed !== null && "words" in parsed && parsed.words.length > 0
      : how === "url"
        ? url
        : name;

  return (
    <form className={styles.form} onSubmit={submit}>
      <h2>Add a server</h2>
      <SegmentedControl
        value={how}
        onChange={to => setHow(to as How)}
        aria-label="How it is said"
        data={[
          { value: "command", label: "Command" },
          { value: "url", label: "Address" },
          { value: "paste", label: "Paste" },
          ...(about?.policy.servers.length ? [{ value: "policy", label: "Policy" }] : []),
        ]}
      />

      {how === "command" ? (
        <div>
          <Textarea
            label="Command"
            description="As in a shell, without one: no variables, no pipes."
            placeholder="npx -y @modelcontextprotocol/server-everything"
            autosize
            minRows={2}
            maxRows={8}
            spellCheck={false}
            value={line}
            onChange={event => setLine(event.currentTarget.value)}
            error={parsed && "wrong" in parsed ? parsed.wrong : null}
            styles={{ input: { fontFamily: "var(--mono)", fontSize: "0.8125rem" } }}
          />
          {parsed && "words" in parsed && parsed.words.length > 1 ? (
            <ol
              className={styles.command}
              aria-label="The words of the command"
              style={{ marginTop: "0.6rem" }}
            >
              {parsed.words.map((word, index) => (
                <li key={index}>
                  <Seen text={word} />
                </li>
              ))}
            </ol>
          ) : null}
        </div>
      ) : null}

      {how === "url" ? (
        <TextInput
          label="Address"
          placeholder="https://mcp.example.com/mcp"
          type="url"
          spellCheck={false}
          value={url}
          onChange={event => setUrl(event.currentTarget.value)}
        />
      ) : null}

      {how === "paste" ? (
        <div className={styles.pairs}>
          <Textarea
            label="Configuration"
            description="Of any client, or a part of it: Claude, VS Code, Cursor, Zed and others. Comments are fine."
            placeholder='{ "mcpServers": { "files": { "command": "npx", "args": ["-y", "…"] } } }'
            autosize
            minRows={6}
            maxRows={16}
            spellCheck={false}
            value={paste}
            onChange={event => setPaste(event.currentTarget.value)}
            error={found && "wrong" in found ? found.wrong : null}
            styles={{ input: { fontFamily: "var(--mono)", fontSize: "0.8125rem" } }}
          />
          {found && "servers" in found ? (
            <ul className={styles.found} aria-label="Servers in it">
              {found.servers.map((it, index) => (
                <li key={`${index}-${it.name}`}>
                  <div>
                    <strong>
                      <Seen text={it.name || "A server"} />
                    </strong>
                    <code>
                      <Seen text={it.url || it.command.join(" ")} />
                    </code>
                  </div>
                  <Button size="xs" variant="default" onClick={() => take(it)}>
                    Use it
                  </Button>
                </li>
              ))}
            </ul>
          ) : null}
        </div>
      ) : null}

      {how === "policy" ? (
        <Select
          label="Server of the policy"
          description={about?.policy.file}
          data={about?.policy.servers ?? []}
          value={name}
          onChange={setName}
        />
      ) : null}

      {how === "paste" ? null : (
        <>
          <div className={styles.two}>
            <TextInput
              label="Name"
              description="For this page."
              placeholder="Its own name"
              value={label}
              onChange={event => setLabel(event.currentTarget.value)}
            />
            <Select
              label="Era"
              description="Auto asks the server first."
              allowDeselect={false}
              value={era}
              onChange={to => setEra(to ?? "legacy")}
              data={[
                { value: "legacy", label: "Legacy: a session" },
                { value: "modern", label: "Modern: stateless" },
                { value: "auto", label: "Auto" },
                { group: "Revision", items: about?.revisions ?? [] },
              ]}
            />
          </div>

          <Accordion multiple variant="separated" order={3}>
            {isRemote ? (
              <Accordion.Item value="headers">
                <Accordion.Control>Headers</Accordion.Control>
                <Accordion.Panel>
                  <Pairs
                    pairs={headers}
                    onChange={setHeaders}
                    name="Header"
                    value="Value"
                    hint="They go to this server with every request, and into no log."
                    example={["Authorization", "Bearer …"]}
                  />
                </Accordion.Panel>
              </Accordion.Item>
            ) : (
              <>
                <Accordion.Item value="env">
                  <Accordion.Control>Environment</Accordion.Control>
                  <Accordion.Panel>
                    <div className={styles.options}>
                      <Pairs
                        pairs={env}
                        onChange={setEnv}
                        name="Variable"
                        value="Value"
                        hint="The server sees nothing of your own environment but what is here."
                        example={["API_KEY", "…"]}
                      />
                      <TextInput
                        label="Passed on from yours"
                        description="Names, parted by commas."
                        placeholder="HTTPS_PROXY, LANG"
                        spellCheck={false}
                        value={passEnv}
                        onChange={event => setPassEnv(event.currentTarget.value)}
                      />
                    </div>
                  </Accordion.Panel>
                </Accordion.Item>
                <Accordion.Item value="sandbox">
                  <Accordion.Control>Sandbox</Accordion.Control>
                  <Accordion.Panel>
                    <div className={styles.options}>
                      <Select
                        label="What holds it"
                        allowDeselect={false}
                        value={sandbox}
                        onChange={to => setSandbox(to ?? "native")}
                        data={[
                          { value: "native", label: "Native" },
                          { value: "podman", label: "Podman" },
                          { value: "docker", label: "Docker" },
                          { value: "none", label: "Nothing: it runs with all your rights" },
                        ]}
                      />
                      <Textarea
                        label="Directories it may reach"
                        description="One on a line; `:ro` behind it for reading alone."
                        placeholder="/home/me/notes:ro"
                        autosize
                        minRows={2}
                        spellCheck={false}
                        value={directories}
                        onChange={event => setDirectories(event.currentTarget.value)}
                      />
                      <TextInput
                        label="Hosts it may reach"
                        description="Parted by commas. Without any, it has no network."
                        placeholder="api.example.com:443"
                        spellCheck={false}
                        value={net}
                        onChange={event => setNet(event.currentTarget.value)}
                      />
                      <Checkbox
                        label="Prepare its package first"
                        description="What npx or uvx would fetch is fetched by Stockade once, at its exact version, without running any script of it."
                        checked={consent}
                        onChange={event => setConsent(event.currentTarget.checked)}
                      />
                      <Checkbox
                        label="Tell what each call touches"
                        description="Files, hosts and programs, by the sandbox’s trace."
                        checked={trace}
                        onChange={event => setTrace(event.currentTarget.checked)}
                      />
                    </div>
                  </Accordion.Panel>
                </Accordion.Item>
              </>
            )}
            <Accordion.Item value="client">
              <Accordion.Control>Client, timeouts and metadata</Accordion.Control>
              <Accordion.Panel>
                <div className={styles.options}>
                  <Checkbox.Group
                    label="Capabilities that the client declares"
                    value={declared}
                    onChange={setDeclared}
                  >
                    <div className={styles.options}>
                      {CAPABILITIES.map(([key, title]) => (
                        <Checkbox key={key} value={key} label={title} />
                      ))}
                    </div>
                  </Checkbox.Group>
                  <div className={styles.two}>
                    <NumberInput
                      label="Timeout of silence, in seconds"
                      placeholder="120"
                      min={1}
                      value={timeout}
                      onChange={setTimeout_}
                    />
                    <NumberInput
                      label="Timeout in all, in seconds"
                      placeholder="600"
                      min={1}
                      value={total}
                      onChange={setTotal}
                    />
                  </div>
                  <div className={styles.pairs}>
                    <p>_meta of every request</p>
                    <JsonEditor
                      label="_meta of every request"
                      value={meta.text}
                      onChange={text => setMeta(written(text, meta))}
                    />
                  </div>
                </div>
              </Accordion.Panel>
            </Accordion.Item>
          </Accordion>

          <Problem of={add.error} />
          <div>
            <Button type="submit" disabled={!ready} loading={add.isPending}>
              {isRemote ? "Go on" : "See what would start"}
            </Button>
          </div>
        </>
      )}
    </form>
  );
}
