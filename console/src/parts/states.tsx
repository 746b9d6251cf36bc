import { Loader } from "@mantine/core";
import { IconAlertTriangle } from "@tabler/icons-react";
import type { ReactNode } from "react";
import { Refused } from "../api/http.ts";
import { Seen } from "./seen.tsx";
import styles from "./states.module.css";

export function Busy({ says }: { says: string }) {
  return (
    <div className={styles.busy} role="status">
      <Loader size="sm" />
      <span>{says}</span>
    </div>
  );
}

/** Nothing is here, and what to do about it. */
export function Empty({
  title,
  children,
  action,
}: {
  title: string;
  children?: ReactNode;
  action?: ReactNode;
}) {
  return (
    <div className={styles.empty}>
      <h2>{title}</h2>
      {children ? <p>{children}</p> : null}
      {action}
    </div>
  );
}

/** What went wrong, in the words of who did not do it. */
export function Problem({ of, title }: { of: unknown; title?: string }) {
  if (!of) return null;
  const says = of instanceof Error ? of.message : String(of);
  const help = of instanceof Refused ? of.help : "";
  return (
    <div className={styles.problem} role="alert">
      <IconAlertTriangle size={18} aria-hidden />
      <div>
        {title ? <strong>{title}</strong> : null}
        <p>
          <Seen text={says} />
        </p>
        {help ? (
          <p className={styles.help}>
            <Seen text={help} />
          </p>
        ) : null}
      </div>
    </div>
  );
}
