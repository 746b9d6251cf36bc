import { ActionIcon, Button, TextInput } from "@mantine/core";
import { IconPlus, IconX } from "@tabler/icons-react";
import type { Root } from "../api/types.ts";
import styles from "../pages/servers.module.css";

export interface Pair {
  id: number;
  name: string;
  value: string;
}

let ids = 0;

export function pair(name = "", value = ""): Pair {
  ids += 1;
  return { id: ids, name, value };
}

export const pairsOf = (map: Record<string, string>): Pair[] =>
  Object.entries(map).map(([name, value]) => pair(name, value));

export const mapOf = (pairs: Pair[]): Record<string, string> =>
  Object.fromEntries(pairs.filter(it => it.name).map(it => [it.name, it.value]));

/** Roots: their address, and what they are called. */
export const rootsOf = (pairs: Pair[]): Root[] =>
  pairs.filter(it => it.name).map(it => ({ uri: it.name, ...(it.value ? { name: it.value } : {}) }));

/** Names with values, as many as somebody wants. */
export function Pairs({
  pairs,
  onChange,
  title,
  hint,
  name,
  value,
  example,
}: {
  pairs: Pair[];
  onChange: (pairs: Pair[]) => void;
  title?: string;
  hint?: string;
  name: string;
  value: string;
  example?: [string, string];
}) {
  const change = (id: number, to: Partial<Pair>) =>
    onChange(pairs.map(it => (it.id === id ? { ...it, ...to } : it)));
  return (
    <div className={styles.pairs} role="group" aria-label={title ?? name}>
      {title ? <p>{title}</p> : null}
      {hint ? <p className={styles.hint}>{hint}</p> : null}
      {pairs.map((it, index) => (
        <div className={styles.pair} key={it.id}>
          <TextInput
            aria-label={`${name} ${index + 1}`}
            placeholder={example?.[0] ?? name}
            value={it.name}
            spellCheck={false}
            onChange={event => change(it.id, { name: event.currentTarget.value })}
          />
          <TextInput
            aria-label={`${value} ${index + 1}`}
            placeholder={example?.[1] ?? value}
            value={it.value}
            spellCheck={false}
            onChange={event => change(it.id, { value: event.currentTarget.value })}
          />
          <ActionIcon
            variant="subtle"
            color="gray"
            size="lg"
            aria-label={`Remove ${it.name || `${name} ${index + 1}`}`}
            onClick={() => onChange(pairs.filter(each => each.id !== it.id))}
          >
            <IconX size={16} />
          </ActionIcon>
        </div>
      ))}
      <div>
        <Button
          size="xs"
          variant="default"
          leftSection={<IconPlus size={14} />}
          onClick={() => onChange([...pairs, pair()])}
        >
          Add
        </Button>
      </div>
    </div>
  );
}
