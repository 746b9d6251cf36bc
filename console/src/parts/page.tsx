import type { ReactNode } from "react";
import styles from "./page.module.css";

/** The head of a page, and what it is about. */
export function Page({
  title,
  says,
  actions,
  children,
  fill = false,
}: {
  title: string;
  says?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
  /** The page is as high as the window, and scrolls within. */
  fill?: boolean;
}) {
  return (
    <div className={fill ? `${styles.page} ${styles.fill}` : styles.page}>
      <header className={styles.head}>
        <div className={styles.titles}>
          <h1>{title}</h1>
          {says ? <p>{says}</p> : null}
        </div>
        {actions ? <div className={styles.actions}>{actions}</div> : null}
      </header>
      <div className={styles.body}>{children}</div>
    </div>
  );
}

/** A part of a page. */
export function Part({
  title,
  hint,
  actions,
  children,
  level = 2,
}: {
  title: string;
  hint?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
  level?: 2 | 3;
}) {
  const Heading = level === 2 ? "h2" : "h3";
  return (
    <section className={styles.part}>
      <div className={styles.partHead}>
        <Heading>{title}</Heading>
        {actions ? <div className={styles.actions}>{actions}</div> : null}
      </div>
      {hint ? <p className={styles.hint}>{hint}</p> : null}
      {children}
    </section>
  );
}

export function Card({ children }: { children: ReactNode }) {
  return <div className={styles.card}>{children}</div>;
}

/** Facts in a row: what, and what it is. */
export function Facts({ of }: { of: [string, ReactNode][] }) {
  const known = of.filter(([, it]) => it !== undefined && it !== null && it !== "");
  if (!known.length) return null;
  return (
    <dl className={styles.facts}>
      {known.map(([name, it]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{it}</dd>
        </div>
      ))}
    </dl>
  );
}
