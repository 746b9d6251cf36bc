import { expect, test } from "vitest";
import { expand, variables } from "./template.ts";

test("a template is filled in", () => {
  expect(variables("test://{a}/{+path}{?q,page*}{&a:3}")).toEqual(["a", "path", "q", "page"]);
  expect(expand("file:///{+path}{?q}", { path: "a/b c", q: "x y" })).toEqual({
    uri: "file:///a/b%20c?q=x%20y",
  });
  expect(expand("a://{x}", {})).toEqual({ uri: "a://" });
});
