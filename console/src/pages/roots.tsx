import { Button } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { put } from "../api/http.ts";
import type { Server } from "../api/types.ts";
import { Card, Part } from "../parts/page.tsx";
import { type Pair, Pairs, pairsOf, rootsOf } from "../parts/pairs.tsx";
import { Problem } from "../parts/states.tsx";

/** What the server is told when it asks for roots. */
export default function Roots({ server }: { server: Server }) {
  const [pairs, setPairs] = useState<Pair[]>(() =>
    pairsOf(Object.fromEntries((server.roots ?? []).map(it => [it.uri, it.name ?? ""]))),
  );
  const save = useMutation({
    mutationFn: () => put(`/api/servers/${server.id}/roots`, { roots: rootsOf(pairs) }),
  });
  return (
    <Part
      title="Roots"
      hint="What it is told when it asks for the client’s roots. What it can reach is for the sandbox to say."
      actions={
        <Button size="xs" variant="default" onClick={() => save.mutate()} loading={save.isPending}>
          Tell the server
        </Button>
      }
    >
      <Card>
        <Pairs
          pairs={pairs}
          onChange={setPairs}
          name="Address"
          value="Name"
          example={["file:///srv/files", "files"]}
        />
        <Problem of={save.error} />
      </Card>
    </Part>
  );
}
