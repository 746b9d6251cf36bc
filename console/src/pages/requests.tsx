import { Button, NumberInput, SegmentedControl, Select, Textarea, TextInput } from "@mantine/core";
import { IconAlertTriangle, IconCheck, IconExternalLink, IconX } from "@tabler/icons-react";
import { useMutation } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { useParams } from "wouter";
import { post, put } from "../api/http.ts";
import { useKnown, useQuestions } from "../api/store.ts";
import type { Finding, Question, QuestionAnswer, Server } from "../api/types.ts";
import { addressOf } from "../lib/address.ts";
import { beginning, isMap } from "../lib/schema.ts";
import { clock } from "../lib/units.ts";
import { Arguments, draft, written } from "../parts/arguments.tsx";
import { JsonEditor } from "../parts/editor.tsx";
import { FindingNote } from "../parts/findings.tsx";
import { Json } from "../parts/json.tsx";
import { Card, Facts, Page, Part } from "../parts/page.tsx";
import { type Pair, Pairs, pair, rootsOf } from "../parts/pairs.tsx";
import { MessageOf } from "../parts/result.tsx";
import { Seen } from "../parts/seen.tsx";
import { type Row, Split } from "../parts/split.tsx";
import { Empty, Problem } from "../parts/states.tsx";
import styles from "./requests.module.css";

const KINDS: Record<Question["kind"], string> = {
  elicitation: "Asks the person",
  sampling: "Asks the model",
  roots: "Asks for roots",
  approval: "The policy asks",
  other: "Asks",
};

export default function RequestsPage() {
  const { id } = useParams<{ id?: string }>();
  const questions = useQuestions();
  const settled = useKnown(it => it.settled);
  const replied = useKnown(it => it.replied);
  const servers = useKnown(it => it.servers);
  const labelOf = (server: string) => servers.find(it => it.id === server)?.label ?? server;
  const rows = questions.map(
    (it): Row => ({
      key: it.id,
      to: `/requests/${it.id}`,
      title: KINDS[it.kind],
      says: `${labelOf(it.server)}: ${briefOf(it)}`,
      marks: <span className={styles.dot} aria-hidden />,
    }),
  );
  const chosen = questions.find(it => it.id === id) ?? (id === undefined ? questions[0] : undefined);
  // What was answered here, and what nobody had to answer.
  const past = [
    ...settled.map(it => ({
      key: it.id,
      kind: it.question ? KINDS[it.question.kind] : it.id,
      brief: it.question ? briefOf(it.question).slice(0, 120) : "",
      says: settledSays(it.by),
      at: it.at,
    })),
    ...replied.map((it, index) => ({
      key: `${index} ${it.at}`,
      kind: it.method,
      brief: briefOf(it).slice(0, 120),
      says: `answered by ${it.entry}`,
      at: it.at,
    })),
  ]
    .sort((a, b) => b.at - a.at)
    .slice(0, 20);
  const gone = id === undefined ? undefined : settled.find(it => it.id === id);
  return (
    <Page
      title="Requests"
      says="What a server asks of the client, and what the policy asks of you. Each waits for an answer."
      fill={questions.length > 0}
    >
      {questions.length ? (
        <Split rows={rows} chosen={chosen?.id} back="/requests" label="Requests">
          {chosen ? (
            <One key={chosen.id} question={chosen} server={servers.find(it => it.id === chosen.server)} />
          ) : (
            <Empty title="It does not wait any more">{gone ? settledSays(gone.by) : ""}</Empty>
          )}
        </Split>
      ) : (
        <Empty title="Nothing waits">
          When a server asks for a completion, a form, an address to open or its roots, it is here, with a red
          mark beside “Requests”.
        </Empty>
      )}
      {past.length && !questions.length ? (
        <Part title="Settled">
          <ul className={styles.settled}>
            {past.map(it => (
              <li key={it.key}>
                <span>{it.kind}</span>
                <span>
                  <Seen text={it.brief} />
                </span>
                <span>{it.says}</span>
                <time>{clock(it.at)}</time>
              </li>
            ))}
          </ul>
        </Part>
      ) : null}
    </Page>
  );
}

const settledSays = (by: string) => (by === "page" ? "answered here" : "nobody waits for it any more");

function briefOf({ params, method }: Pick<Question, "params" | "method">): string {
  if (typeof params?.message === "string") return params.message;
  if (typeof params?.tool === "string") return params.tool;
  const first = Array.isArray(params?.messages) ? params.messages[0] : undefined;
  const content = isMap(first) ? first.content : undefined;
  const block = Array.isArray(content) ? content[0] : content;
  return isMap(block) && typeof block.text === "string" ? block.text : method;
}

function One({ question, server }: { question: Question; server: Server | undefined }) {
  const answer = useMutation({
    mutationFn: (it: QuestionAnswer) => post(`/api/questions/${question.id}`, it),
  });
  const give = (it: QuestionAnswer) => answer.mutate(it);
  const isModern = server?.revision !== undefined && server.revision >= "2026-07-28";
  const props = { question, give, busy: answer.isPending, isModern };
  return (
    <>
      <header className={styles.head}>
        <h2>{KINDS[question.kind]}</h2>
        <Facts
          of={[
            [
              "Who asks",
              question.kind === "approval" ? (
                "The policy"
              ) : server ? (
                <Seen text={server.label} />
              ) : (
                question.server
              ),
            ],
            ["Method", <code key="method">{question.method}</code>],
            ["Since", clock(question.at)],
            ["For the request", question.request],
          ]}
        />
      </header>
      {question.kind === "sampling" ? (
        <Sampling {...props} />
      ) : question.kind === "elicitation" ? (
        question.params?.mode === "url" ? (
          <Open {...props} />
        ) : (
          <Elicitation {...props} />
        )
      ) : question.kind === "approval" ? (
        <Approval {...props} />
      ) : question.kind === "roots" ? (
        <RootsAsked {...props} />
      ) : (
        <Other {...props} />
      )}
      <Problem of={answer.error} title="It was not answered" />
      <details className={styles.raw}>
        <summary>The request as JSON</summary>
        <Card>
          <Json value={question.params} label="The request as JSON" />
        </Card>
      </details>
    </>
  );
}

interface AskedProps {
  question: Question;
  give: (answer: QuestionAnswer) => void;
  busy: boolean;
  isModern: boolean;
}

function Buttons({ children }: { children: ReactNode }) {
  return (
    <div className={styles.buttons} role="group" aria-label="Answer">
      {children}
    </div>
  );
}

/** What the server wants a model to write: it is answered in the model's place. */
function Sampling({ question, give, busy, isModern }: AskedProps) {
  const params = question.params ?? {};
  const [text, setText] = useState("");
  const [model, setModel] = useState("stub-model");
  const [stop, setStop] = useState("endTurn");
  const [as, setAs] = useState("text");
  const [raw, setRaw] = useState(() =>
    draft({
      role: "assistant",
      content: { type: "text", text: "" },
      model: "stub-model",
      stopReason: "endTurn",
    }),
  );
  const messages = Array.isArray(params.messages) ? params.messages.filter(isMap) : [];
  const preferences = params.modelPreferences as { hints?: { name?: string }[] } | undefined;
  const send = () =>
    give({
      result:
        as === "json"
          ? (raw.value as Record<string, unknown>)
          : { role: "assistant", content: { type: "text", text }, model, stopReason: stop },
    });
  return (
    <>
      <Part title="What the model would be told">
        {typeof params.systemPrompt === "string" ? (
          <div className={styles.message}>
            <MessageOf by="system" content={params.systemPrompt} />
          </div>
        ) : null}
        {messages.map((it, index) => (
          <div className={styles.message} key={index}>
            <MessageOf by={String(it.role)} content={it.content} />
          </div>
        ))}
        <Card>
          <Facts
            of={[
              ["At most", params.maxTokens === undefined ? null : `${String(params.maxTokens)} tokens`],
              ["Temperature", params.temperature === undefined ? null : String(params.temperature)],
              [
                "Model",
                preferences?.hints?.length ? (
                  <Seen text={preferences.hints.map(it => it.name).join(", ")} />
                ) : null,
              ],
              ["Context of", typeof params.includeContext === "string" ? params.includeContext : null],
              ["Tools", Array.isArray(params.tools) ? String(params.tools.length) : null],
            ]}
          />
        </Card>
      </Part>
      <Part
        title="The reply"
        hint="Written by you, in the model’s place."
        actions={
          <SegmentedControl
            size="xs"
            value={as}
            onChange={setAs}
            aria-label="How the reply is written"
            data={[
              { value: "text", label: "Text" },
              { value: "json", label: "JSON" },
            ]}
          />
        }
      >
        {as === "text" ? (
          <div className={styles.fields}>
            <Textarea
              label="Text"
              autosize
              minRows={4}
              maxRows={16}
              value={text}
              onChange={event => setText(event.currentTarget.value)}
            />
            <div className={styles.two}>
              <TextInput
                label="Model"
                value={model}
                onChange={event => setModel(event.currentTarget.value)}
                spellCheck={false}
              />
              <Select
                label="Why it stops"
                allowDeselect={false}
                value={stop}
                onChange={it => setStop(it ?? "endTurn")}
                data={["endTurn", "stopSequence", "maxTokens", "toolUse"]}
              />
            </div>
          </div>
        ) : (
          <>
            <JsonEditor
              label="The reply as JSON"
              value={raw.text}
              onChange={it => setRaw(written(it, raw))}
              lines={8}
            />
            {raw.wrong ? <p className={styles.wrong}>This is no JSON: {raw.wrong}</p> : null}
          </>
        )}
      </Part>
      <Buttons>
        <Button
          leftSection={<IconCheck size={16} />}
          onClick={send}
          loading={busy}
          disabled={as === "json" && raw.wrong !== null}
        >
          Send the reply
        </Button>
        {isModern ? null : (
          <Button
            variant="outline"
            color="red"
            leftSection={<IconX size={16} />}
            disabled={busy}
            onClick={() => give({ error: { code: -1, message: "User rejected sampling request" } })}
          >
            Refuse
          </Button>
        )}
      </Buttons>
      {isModern ? (
        <p className={styles.note}>
          In this revision a question to a model cannot be refused: cancel the call instead.
        </p>
      ) : null}
    </>
  );
}

function Elicitation({ question, give, busy }: AskedProps) {
  const params = question.params ?? {};
  const schema = params.requestedSchema;
  const [filled, setFilled] = useState(() => draft(beginning(schema, true)));
  return (
    <>
      <blockquote className={styles.says}>
        <Seen text={String(params.message ?? "")} />
      </blockquote>
      <p className={styles.note}>
        These are the server’s words. Give it no password and no key: a server may not ask for one in a form.
      </p>
      <form
        onSubmit={event => {
          event.preventDefault();
          if (filled.wrong === null)
            give({ action: "accept", content: filled.value as Record<string, unknown> });
        }}
      >
        <Card>
          <Arguments schema={schema} draft={filled} onChange={setFilled} prefix="answer" label="Answer" />
        </Card>
        <Buttons>
          <Button
            type="submit"
            leftSection={<IconCheck size={16} />}
            loading={busy}
            disabled={filled.wrong !== null}
          >
            Send
          </Button>
          <Button variant="outline" color="red" disabled={busy} onClick={() => give({ action: "decline" })}>
            Decline
          </Button>
          <Button variant="default" disabled={busy} onClick={() => give({ action: "cancel" })}>
            Cancel
          </Button>
        </Buttons>
      </form>
    </>
  );
}

/** An address that the server wants opened. Nothing is fetched, and nothing opens before somebody says so. */
function Open({ question, give, busy }: AskedProps) {
  const params = question.params ?? {};
  const address = addressOf(params.url);
  return (
    <>
      <blockquote className={styles.says}>
        <Seen text={String(params.message ?? "")} />
      </blockquote>
      <Part title="The address, whole">
        <Card>
          <p className={styles.address}>
            <Seen text={String(params.url ?? "")} />
          </p>
          <Facts
            of={[
              ["Host", address.host ? <strong key="host">{address.host}</strong> : null],
              ["Scheme", address.scheme],
            ]}
          />
        </Card>
        {address.warnings.map(it => (
          <p key={it} className={styles.warn}>
            <IconAlertTriangle size={16} aria-hidden /> {it}
          </p>
        ))}
      </Part>
      <Buttons>
        {address.opens ? (
          <Button
            component="a"
            href={address.opens}
            target="_blank"
            rel="noopener noreferrer"
            leftSection={<IconExternalLink size={16} />}
            onClick={() => give({ action: "accept" })}
          >
            Open it and accept
          </Button>
        ) : null}
        <Button variant="default" disabled={busy} onClick={() => give({ action: "accept" })}>
          Accept without opening
        </Button>
        <Button variant="outline" color="red" disabled={busy} onClick={() => give({ action: "decline" })}>
          Decline
        </Button>
        <Button variant="default" disabled={busy} onClick={() => give({ action: "cancel" })}>
          Cancel
        </Button>
      </Buttons>
    </>
  );
}

function Approval({ question, give, busy }: AskedProps) {
  const params = question.params ?? {};
  const reasons = Array.isArray(params.reasons) ? params.reasons : [];
  const findings = (Array.isArray(params.findings) ? params.findings : []) as (Finding | string)[];
  return (
    <>
      <Part title={`What would be sent${typeof params.tool === "string" ? ` to ${params.tool}` : ""}`}>
        <Card>
          <Json value={params.arguments} label="Arguments" />
        </Card>
        {params.mended ? (
          <p className={styles.note}>The policy has mended it. This is what would be sent.</p>
        ) : null}
      </Part>
      {findings.length ? (
        <Part title="What the rules found">
          <div className={styles.fields}>
            {findings.map((it, index) =>
              typeof it === "string" ? (
                <p key={`${index}-${it}`} className={styles.warn}>
                  <Seen text={it} />
                </p>
              ) : (
                <FindingNote key={`${index}-${it.rule}`} of={it} place />
              ),
            )}
          </div>
        </Part>
      ) : null}
      {reasons.length ? (
        <Part title="Why you are asked">
          <ul className={styles.reasons}>
            {reasons.map(it => (
              <li key={String(it)}>
                <Seen text={String(it)} />
              </li>
            ))}
          </ul>
        </Part>
      ) : null}
      <Buttons>
        <Button
          leftSection={<IconCheck size={16} />}
          loading={busy}
          onClick={() => give({ action: "approve" })}
        >
          Allow once
        </Button>
        <Button variant="outline" color="red" disabled={busy} onClick={() => give({ action: "deny" })}>
          Deny
        </Button>
      </Buttons>
    </>
  );
}

/** It has none that it would be told: what is said here is for this once, or from now on. */
function RootsAsked({ question, give, busy }: AskedProps) {
  const [pairs, setPairs] = useState<Pair[]>(() => [pair()]);
  const roots = rootsOf(pairs);
  const keep = useMutation({
    mutationFn: () => put(`/api/servers/${question.server}/roots`, { roots }),
    onSuccess: () => give({ result: { roots } }),
  });
  return (
    <>
      <Part title="The roots" hint="What the server is told. What it can reach is for the sandbox to say.">
        <Card>
          <Pairs
            pairs={pairs}
            onChange={setPairs}
            name="Address"
            value="Name"
            example={["file:///srv/files", "files"]}
          />
        </Card>
      </Part>
      <Problem of={keep.error} />
      <Buttons>
        <Button
          leftSection={<IconCheck size={16} />}
          loading={busy}
          onClick={() => give({ result: { roots } })}
        >
          {roots.length ? "Send" : "Send none"}
        </Button>
        <Button
          variant="default"
          disabled={busy || roots.length === 0}
          loading={keep.isPending}
          onClick={() => keep.mutate()}
        >
          Send, and whenever it asks
        </Button>
      </Buttons>
    </>
  );
}

function Other({ give, busy }: AskedProps) {
  const [raw, setRaw] = useState(() => draft({}));
  const [code, setCode] = useState<number | string>(-32601);
  return (
    <>
      <Part title="The answer" hint="It is sent to the letter.">
        <JsonEditor
          label="The answer as JSON"
          value={raw.text}
          onChange={it => setRaw(written(it, raw))}
          lines={6}
        />
        {raw.wrong ? <p className={styles.wrong}>This is no JSON: {raw.wrong}</p> : null}
      </Part>
      <Buttons>
        <Button
          leftSection={<IconCheck size={16} />}
          loading={busy}
          disabled={raw.wrong !== null}
          onClick={() => give({ result: raw.value as Record<string, unknown> })}
        >
          Send
        </Button>
        <Button
          variant="outline"
          color="red"
          disabled={busy || typeof code !== "number"}
          onClick={() => give({ error: { code: Number(code), message: "It is refused." } })}
        >
          Refuse with
        </Button>
        <NumberInput aria-label="Code of the error" w={110} value={code} onChange={setCode} hideControls />
      </Buttons>
    </>
  );
}
