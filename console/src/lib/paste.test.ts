import { expect, test } from "vitest";
import { pasted } from "./paste.ts";

function only(text: string) {
  const found = pasted(text);
  if ("wrong" in found) throw new Error(found.wrong);
  return found.servers;
}

test("the configurations of clients", () => {
  const npx = {
    command: ["npx", "-y", "@scope/server", "/home/ann"],
    url: "",
    env: { KEY: "1" },
    headers: {},
    cwd: "",
  };
  const inner = '{"command":"npx","args":["-y","@scope/server","/home/ann"],"env":{"KEY":"1"}}';
  expect(only(`{"mcpServers":{"files":${inner}}}`)).toEqual([{ name: "files", ...npx }]);
  expect(only(`{"servers":{"files":${inner}}, "inputs":[]}`)).toEqual([{ name: "files", ...npx }]);
  expect(only(`{"mcp":{"servers":{"files":${inner}}}}`)).toEqual([{ name: "files", ...npx }]);
  expect(only(inner)).toEqual([{ name: "", ...npx }]);
  expect(only(`"files": ${inner},`)).toEqual([{ name: "files", ...npx }]);
});

test("comments and commas too many", () => {
  expect(
    only(
      '{ // mine\n "mcpServers": { "a": { "url": "https://a.example/mcp", "headers": { "X": "y", }, }, }, }',
    ),
  ).toEqual([
    { name: "a", command: [], url: "https://a.example/mcp", env: {}, headers: { X: "y" }, cwd: "" },
  ]);
});

test("other spellings", () => {
  expect(
    only('{"context_servers":{"z":{"command":{"path":"node","args":["s.js"],"env":{}}}}}')[0]?.command,
  ).toEqual(["node", "s.js"]);
  expect(
    only('{"mcp":{"o":{"type":"local","command":["bun","x"],"environment":{"A":"b"}}}}')[0],
  ).toMatchObject({
    command: ["bun", "x"],
    env: { A: "b" },
  });
});

test("an address and a command line", () => {
  expect(only(" http://127.0.0.1:3000/mcp ")[0]?.url).toBe("http://127.0.0.1:3000/mcp");
  expect(only("npx -y 'a b' --c=\"d e\"")[0]?.command).toEqual(["npx", "-y", "a b", "--c=d e"]);
  expect(only("/usr/bin/server --x")[0]?.command).toEqual(["/usr/bin/server", "--x"]);
});

test("what is none says why", () => {
  expect(pasted("")).toHaveProperty("wrong");
  expect(pasted("{")).toHaveProperty("wrong");
  expect(pasted('{"a":1}')).toHaveProperty("wrong");
  expect(pasted("npx 'a")).toHaveProperty("wrong");
});
