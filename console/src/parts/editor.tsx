import { lazy, Suspense } from "react";
import styles from "./editor.module.css";

const Editor = lazy(() => import("./editor-inner.tsx"));

export interface EditorProps {
  value: string;
  onChange: (text: string) => void;
  label: string;
  /** So many lines are there at least. */
  lines?: number;
}

/** JSON to write. What it is written with is loaded when somebody writes. */
export function JsonEditor(props: EditorProps) {
  return (
    <div className={styles.frame}>
      <Suspense fallback={<pre className={styles.waits}>{props.value}</pre>}>
        <Editor {...props} />
      </Suspense>
    </div>
  );
}
