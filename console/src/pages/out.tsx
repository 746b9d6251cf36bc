import { useKnown } from "../api/store.ts";
import { Empty } from "../parts/states.tsx";

/** What there is to see when the program lets nobody in, or has ended. */
export function Out() {
  const link = useKnown(it => it.link);
  const over = useKnown(it => it.over);
  return (
    <main>
      <h1 style={{ position: "absolute", clipPath: "inset(50%)" }}>Stockade</h1>
      {link === "out" ? (
        <Empty title="This page is not let in">
          Its address is good once, and for two minutes. Type <code>stockade inspect</code> for another.
        </Empty>
      ) : (
        <Empty title="The program has ended">
          {over || "It does not answer any more."} The servers that it had started have ended with it. Type{" "}
          <code>stockade inspect</code> to begin again.
        </Empty>
      )}
    </main>
  );
}
