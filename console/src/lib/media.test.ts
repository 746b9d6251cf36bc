import { expect, test } from "vitest";
import { dataUrl } from "./media.ts";

test("what is what it is called is shown", () => {
  expect(dataUrl("iVBORw0KGgoAAAA=", "image/png")).toEqual({ url: "data:image/png;base64,iVBORw0KGgoAAAA=" });
  expect(dataUrl("UklGRiQA", "audio/x-wav")).toEqual({ url: "data:audio/wav;base64,UklGRiQA" });
});

test("what is something else is not", () => {
  const svg = btoa('<svg onload="alert(1)">');
  expect(dataUrl(svg, "image/png")).toHaveProperty("wrong");
  expect(dataUrl(svg, "image/svg+xml")).toHaveProperty("wrong");
  expect(dataUrl("iVBORw0KGgo=", "text/html")).toHaveProperty("wrong");
  expect(dataUrl('iVBORw0KGgo"><script>', "image/png")).toHaveProperty("wrong");
  expect(dataUrl(undefined, "image/png")).toHaveProperty("wrong");
});
