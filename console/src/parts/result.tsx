import { Button, Loader, Progress, Tabs } from "@mantine/core";
import { IconX } from "@tabler/icons-react";
import { useEffect, useState } from "react";
import { Link } from "wouter";
import type { Call } from "../api/call.ts";
import type { Answer, Notification } from "../api/types.ts";
import { duration, size } from "../lib/units.ts";
import { Content, Resource } from "./content.tsx";
import { Json } from "./json.tsx";
import styles from "./result.module.css";
import { Seen } from "./seen.tsx";
import { Problem } from "./states.tsx";

/** What comes of a request: that it runs, what was told meanwhile, and its end. */
export function Result({ call }: { call: Call }) {
  const { asked, answer, told, pending, error } = call;
  if (error) return <Problem of={error} title="It was not asked" />;
  if (!asked && !pending) return null;
  return (
    <section className={styles.result} aria-label="Result" aria-busy={pending}>
      {pending ? <Running told={told} at={asked?.at} cancel={call.cancel} /> : null}
      {answer ? <Answered answer={answer} told={told} /> : null}
      <p role="status" className={styles.unseen}>
        {answer ? saysOf(answer) : ""}
      </p>
    </section>
  );
}

function Running({ told, at, cancel }: { told: Notification[]; at: number | undefined; cancel: () => void }) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 200);
    return () => clearInterval(timer);
  }, []);
  const progress = told.findLast(it => it.method === "notifications/progress")?.params as
    | { progress?: number; total?: number; message?: string }
    | undefined;
  const share = progress?.total ? Math.min(100, (100 * (progress.progress ?? 0)) / progress.total) : null;
  return (
    <div className={styles.running}>
      <div className={styles.bar}>
        <Loader size="xs" />
        <span role="status">
          {progress?.message ? <Seen text={progress.message} /> : "It runs"}
          {progress ? `, ${progress.progress ?? 0}${progress.total ? ` of ${progress.total}` : ""}` : ""}
        </span>
        <span className={styles.time}>{at ? duration(Math.max(0, now - at)) : ""}</span>
        <Button size="xs" variant="default" leftSection={<IconX size={14} />} onClick={cancel}>
          Cancel
        </Button>
      </div>
      {share === null ? null : <Progress value={share} aria-label="Progress" size="sm" />}
    </div>
  );
}

function Answered({ answer, told }: { answer: Answer; told: Notification[] }) {
  const { result, error } = answer;
  const isError = result?.isError === true;
  const kind = result && !isError ? "good" : "bad";
  const says = saysOf(answer);
  const shown = result ? shownOf(result) : null;
  return (
    <>
      <div className={styles.head}>
        <h3 data-is={kind}>{says}</h3>
        <p>
          {[
            answer.ms === undefined ? "" : duration(answer.ms),
            answer.bytes === undefined ? "" : size(answer.bytes),
          ]
            .filter(it => it)
            .join(", ")}
        </p>
        {answer.message === undefined ? null : (
          <Link href={`/traffic/${answer.message}`} className={styles.link ?? ""}>
            In the traffic
          </Link>
        )}
      </div>
      {error ? (
        <div className={styles.error}>
          <Seen text={error.message} />
          {error.data === undefined ? null : <Json value={error.data} label="Data of the error" />}
        </div>
      ) : null}
      {answer.lost === undefined ? null : (
        <p className={styles.error}>
          <Seen text={answer.lost} />
        </p>
      )}
      {result ? (
        <Tabs defaultValue={shown ? "shown" : "json"} keepMounted={false}>
          <Tabs.List>
            {shown ? <Tabs.Tab value="shown">Content</Tabs.Tab> : null}
            {"structuredContent" in result ? <Tabs.Tab value="structured">Structured</Tabs.Tab> : null}
            <Tabs.Tab value="json">JSON</Tabs.Tab>
            {told.length ? <Tabs.Tab value="told">Meanwhile ({told.length})</Tabs.Tab> : null}
          </Tabs.List>
          {shown ? (
            <Tabs.Panel value="shown" className={styles.panel}>
              {shown}
            </Tabs.Panel>
          ) : null}
          <Tabs.Panel value="structured" className={styles.panel}>
            <div className={styles.json}>
              <Json value={result.structuredContent} label="Structured content" />
            </div>
          </Tabs.Panel>
          <Tabs.Panel value="json" className={styles.panel}>
            <div className={styles.json}>
              <Json value={result} label="The result as JSON" />
            </div>
          </Tabs.Panel>
          <Tabs.Panel value="told" className={styles.panel}>
            <div className={styles.json}>
              <Json
                value={told.map(it => ({ method: it.method, params: it.params }))}
                label="What was told meanwhile"
              />
            </div>
          </Tabs.Panel>
        </Tabs>
      ) : null}
    </>
  );
}

function saysOf({ result, error, cancelled, timeout, lost }: Answer): string {
  if (error) return `Error ${error.code}`;
  if (cancelled) return "Cancelled";
  if (timeout) return "It took too long";
  if (lost !== undefined) return "No answer";
  return result?.isError === true ? "The tool has failed" : "Answered";
}

/** The parts of a result that are for people, or nothing. */
function shownOf(result: Record<string, unknown>) {
  if (Array.isArray(result.content))
    return result.content.length ? (
      result.content.map((it, index) => <Content key={index} of={it} />)
    ) : (
      <p className={styles.none}>Its content is empty.</p>
    );
  if (Array.isArray(result.contents))
    return (
      <>
        {result.contents.map((it, index) => (
          <Resource key={index} of={it as Record<string, unknown>} />
        ))}
      </>
    );
  if (Array.isArray(result.messages))
    return (
      <>
        {result.messages.map((it: { role?: unknown; content?: unknown }, index) => (
          <MessageOf key={index} by={String(it?.role ?? "")} content={it?.content} />
        ))}
      </>
    );
  return null;
}

/** A message to a model, or of one. */
export function MessageOf({ by, content }: { by: string; content: unknown }) {
  const all = Array.isArray(content) ? content : [content];
  return (
    <div className={styles.message}>
      <p className={styles.role}>
        <Seen text={by} />
      </p>
      {all.map((it, index) => (
        <Content key={index} of={it} />
      ))}
    </div>
  );
}
