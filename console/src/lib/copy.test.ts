import { expect, test } from "vitest";
import { asCall } from "./copy.ts";

const base = { id: "s1", label: "x", state: "ready" as const };

test("a shell gets the same words", () => {
  const server = { ...base, transport: "stdio" as const, command: ["npx", "-y", "a b"], era: "modern" };
  expect(asCall(server, "tools/call", { name: "q", arguments: { sql: "it's" } })).toBe(
    `stockade call --era modern tools/call '{"name":"q","arguments":{"sql":"it'"'"'s"}}' -- npx -y 'a b'`,
  );
});

test("an address, and a server of the policy", () => {
  expect(
    asCall(
      { ...base, transport: "http", url: "https://a.example/mcp?x=1&y=2", era: "legacy" },
      "tools/list",
      {},
    ),
  ).toBe("stockade call 'https://a.example/mcp?x=1&y=2' tools/list");
  expect(
    asCall({ ...base, transport: "stdio", command: ["x"], spec: { name: "notes" } }, "ping", undefined),
  ).toBe("stockade call notes ping");
});

test("what holds it is said too", () => {
  const spec = { sandbox: { how: "podman", roots: ["/srv:ro"], net: ["a.example:443", "b.example:443"] } };
  expect(asCall({ ...base, transport: "stdio", command: ["x"], spec }, "ping", undefined)).toBe(
    "stockade call --sandbox podman --root /srv:ro --net a.example:443,b.example:443 ping -- x",
  );
});
