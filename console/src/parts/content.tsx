import { Button, SegmentedControl } from "@mantine/core";
import { useMemo, useState } from "react";
import { useLocation } from "wouter";
import { dataUrl } from "../lib/media.ts";
import { isMap } from "../lib/schema.ts";
import styles from "./content.module.css";
import { Json } from "./json.tsx";
import { Seen } from "./seen.tsx";

/** A block of content: of a result, a prompt, or a message to a model. */
export function Content({ of }: { of: unknown }) {
  if (typeof of === "string") return <TextBlock text={of} />;
  if (!isMap(of)) return <Json value={of} />;
  switch (of.type) {
    case "text":
      return <TextBlock text={String(of.text ?? "")} />;
    case "image":
    case "audio":
      return <Media kind={of.type} data={of.data} mimeType={of.mimeType} />;
    case "resource":
      return isMap(of.resource) ? <Resource of={of.resource} /> : <Json value={of} />;
    case "resource_link":
      return <ResourceLink of={of} />;
    default:
      return <Json value={of} />;
  }
}

function TextBlock({ text }: { text: string }) {
  const value = useMemo(() => {
    if (!/^\s*[[{]/.test(text) || text.length > 1_000_000) return undefined;
    try {
      return JSON.parse(text) as unknown;
    } catch {
      return undefined;
    }
  }, [text]);
  const [as, setAs] = useState("json");
  const isJson = value !== undefined;
  return (
    <div className={styles.block}>
      {isJson ? (
        <div className={styles.how}>
          <SegmentedControl
            size="xs"
            value={as}
            onChange={setAs}
            aria-label="How the text is shown"
            data={[
              { value: "json", label: "JSON" },
              { value: "text", label: "Text" },
            ]}
          />
        </div>
      ) : null}
      {isJson && as === "json" ? <Json value={value} /> : <Long text={text} />}
    </div>
  );
}

const SHOWN = 20_000;

export function Long({ text }: { text: string }) {
  const [all, setAll] = useState(false);
  const cut = !all && text.length > SHOWN;
  return (
    <div className={styles.text}>
      <Seen text={cut ? text.slice(0, SHOWN) : text} />
      {cut ? (
        <Button size="xs" variant="default" onClick={() => setAll(true)}>
          {text.length - SHOWN} more characters
        </Button>
      ) : null}
    </div>
  );
}

function Media({ kind, data, mimeType }: { kind: "image" | "audio"; data: unknown; mimeType: unknown }) {
  const found = dataUrl(data, mimeType);
  if ("wrong" in found)
    return (
      <p className={styles.none}>
        {kind === "image" ? "A picture" : "A sound"} that is not shown. <Seen text={found.wrong} />
      </p>
    );
  if (kind === "image")
    return <img className={styles.image} src={found.url} alt="What the server has sent" />;
  // biome-ignore lint/a11y/useMediaCaption: nobody has captions of what a server sends
  return <audio controls src={found.url} aria-label="A sound that the server has sent" />;
}

export function Resource({ of }: { of: Record<string, unknown> }) {
  const mime = typeof of.mimeType === "string" ? of.mimeType : "";
  return (
    <div className={styles.resource}>
      <p>
        <code>
          <Seen text={String(of.uri ?? "")} />
        </code>
        {mime ? (
          <span>
            <Seen text={mime} />
          </span>
        ) : null}
      </p>
      {typeof of.text === "string" ? (
        <TextBlock text={of.text} />
      ) : mime.startsWith("image/") || mime.startsWith("audio/") ? (
        <Media kind={mime.startsWith("image/") ? "image" : "audio"} data={of.blob} mimeType={mime} />
      ) : (
        <p className={styles.none}>{String(of.blob ?? "").length} characters of base64.</p>
      )}
    </div>
  );
}

function ResourceLink({ of }: { of: Record<string, unknown> }) {
  const [, go] = useLocation();
  const uri = String(of.uri ?? "");
  return (
    <div className={styles.resource}>
      <p>
        <strong>
          <Seen text={String(of.title ?? of.name ?? "A resource")} />
        </strong>
        <code>
          <Seen text={uri} />
        </code>
      </p>
      {typeof of.description === "string" ? <Long text={of.description} /> : null}
      <div>
        <Button size="xs" variant="default" onClick={() => go(`/resources/read/${encodeURIComponent(uri)}`)}>
          Read it
        </Button>
      </div>
    </div>
  );
}
