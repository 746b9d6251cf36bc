import { memo } from "react";
import { parts } from "../lib/visible.ts";
import styles from "./seen.module.css";

/**
 * A text of a server, a client or a person, in which nothing hides: what shows nothing is named, and a
 * letter that is written from right to left changes the order of nothing around it. Never markup.
 */
export const Seen = memo(function Seen({ text }: { text: string }) {
  return (
    <bdi>
      {parts(text).map((it, index) => {
        const key = `${index}`;
        if (it.kind === "text") return it.text;
        if (it.kind === "tags")
          return (
            <mark
              key={key}
              className={`${styles.mark} ${styles.tags}`}
              title="written in characters that show nothing"
            >
              tags: {it.says}
            </mark>
          );
        return (
          <mark key={key} className={styles.mark} title={it.says}>
            {it.code}
          </mark>
        );
      })}
    </bdi>
  );
});
