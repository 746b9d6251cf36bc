import { Button, Select } from "@mantine/core";
import { IconScale } from "@tabler/icons-react";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { ofPart, useDefinitions } from "../api/definitions.ts";
import { post, put } from "../api/http.ts";
import { useKnown, useServer } from "../api/store.ts";
import type { Json as JsonMap, Server } from "../api/types.ts";
import { draft, written } from "../parts/arguments.tsx";
import { Decision } from "../parts/decision.tsx";
import { JsonEditor } from "../parts/editor.tsx";
import { Card, Page, Part } from "../parts/page.tsx";
import { Problem } from "../parts/states.tsx";
import styles from "./guard.module.css";
import { NeedsServer } from "./servers.tsx";

export default function GuardPage() {
  const server = useServer();
  const file = useKnown(it => it.about?.policy.file);
  return (
    <Page
      title="Guard"
      says={file ? `By the policy ${file}` : "By the rules’ defaults: there is no policy of yours"}
    >
      {server?.state === "ready" ? (
        <div className={styles.guard}>
          <Judge key={server.id} server={server} />
          <Profile key={`${server.id} profile`} server={server} />
        </div>
      ) : (
        <NeedsServer server={server} />
      )}
    </Page>
  );
}

/** What the policy would do with a call, and with what comes back of it. */
function Judge({ server }: { server: Server }) {
  const { data } = useDefinitions(server.id);
  const tools = ofPart(data, "tool").filter(it => it.raw);
  const [tool, setTool] = useState<string | null>(null);
  const [given, setGiven] = useState(() => draft({}));
  const [back, setBack] = useState({ ...draft({}), text: "" });
  const judge = useMutation({
    mutationFn: () =>
      post<JsonMap>(`/api/servers/${server.id}/judge`, {
        tool,
        arguments: given.value,
        ...(back.text.trim() ? { answer: back.value } : {}),
      }),
  });
  return (
    <Part
      title="What would it do with a call?"
      hint="The code that judges calls is asked. Nothing is sent to the server."
    >
      <Card>
        <div className={styles.fields}>
          <Select
            label="Tool"
            searchable
            placeholder="Choose a tool"
            data={[...new Set(tools.map(it => it.name))]}
            value={tool}
            onChange={setTool}
          />
          <div className={styles.two}>
            <div>
              <p className={styles.label}>Arguments</p>
              <JsonEditor
                label="Arguments"
                value={given.text}
                onChange={it => setGiven(written(it, given))}
                lines={6}
              />
            </div>
            <div>
              <p className={styles.label}>What comes back, perhaps</p>
              <JsonEditor
                label="What comes back"
                value={back.text}
                onChange={it => setBack(written(it, back))}
                lines={6}
              />
            </div>
          </div>
          <div>
            <Button
              leftSection={<IconScale size={16} />}
              disabled={tool === null || given.wrong !== null || back.wrong !== null}
              onClick={() => judge.mutate()}
              loading={judge.isPending}
            >
              Judge
            </Button>
          </div>
        </div>
        <Problem of={judge.error} />
        {judge.data ? <Decision of={judge.data} /> : null}
      </Card>
    </Part>
  );
}

const EXAMPLE = {
  elicitation: [{ when: { contains: "colour" }, content: { answer: "blue" } }],
  sampling: [{ text: "It is short.", model: "stub", stop_reason: "endTurn" }],
};

/** What is answered without a person: as the file of `stockade call --answers`. */
function Profile({ server }: { server: Server }) {
  const [answers, setAnswers] = useState(() => draft(server.answers ?? {}));
  const save = useMutation({
    mutationFn: (it: unknown) => put(`/api/servers/${server.id}/answers`, { answers: it }),
  });
  return (
    <Part
      title="Answers without a person"
      hint="The first entry that is for a request of the server answers it; what none is for waits for you. As the file of stockade call --answers."
    >
      <Card>
        <div className={styles.fields}>
          <JsonEditor
            label="Answers without a person"
            value={answers.text}
            onChange={it => setAnswers(written(it, answers))}
            lines={8}
          />
          <div className={styles.row}>
            <Button
              disabled={answers.wrong !== null}
              onClick={() => save.mutate(answers.value)}
              loading={save.isPending}
            >
              Use from now on
            </Button>
            <Button variant="subtle" color="gray" onClick={() => setAnswers(draft(EXAMPLE))}>
              Fill in an example
            </Button>
            {save.isSuccess ? (
              <span role="status" className={styles.done}>
                In use
              </span>
            ) : null}
          </div>
          <Problem of={save.error} />
        </div>
      </Card>
    </Part>
  );
}
