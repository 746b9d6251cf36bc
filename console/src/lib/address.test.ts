import { expect, test } from "vitest";
import { addressOf } from "./address.ts";

test("an address is opened if it is of the web", () => {
  expect(addressOf("https://a.example/x?y=1")).toEqual({
    host: "a.example",
    scheme: "https",
    opens: "https://a.example/x?y=1",
    warnings: [],
  });
  expect(addressOf("javascript:alert(1)").opens).toBeNull();
  expect(addressOf("data:text/html,x").opens).toBeNull();
  expect(addressOf("file:///etc/passwd").opens).toBeNull();
  expect(addressOf(" ").opens).toBeNull();
  expect(addressOf(7).opens).toBeNull();
});

test("what is odd about it is said", () => {
  expect(addressOf("https://аррӏе.com/").warnings.join()).toMatch(/Punycode/);
  expect(addressOf("https://bank.example@evil.example/").warnings.join()).toMatch(/before its host/);
  expect(addressOf("http://a.example/").warnings.join()).toMatch(/not encrypted/);
  expect(addressOf("http://127.0.0.1:3000/").warnings.join()).toMatch(/a number/);
});
