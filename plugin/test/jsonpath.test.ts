// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { describe, expect, test } from "vitest";
import { query, renderTemplate } from "../src/commands/jsonpath.ts";
import { runPlugin } from "./session.ts";

const ROOT = {
  total: 3,
  rows: [
    { id: "a", count: 1, tags: ["x", "y"], labels: { "app.io/name": "web" } },
    { id: "b", count: 2, tags: [], labels: {} },
    { id: "c", count: 3, tags: ["z"], labels: {} },
  ],
};

describe("a template renders as kubectl's", () => {
  test.each([
    ["{.total}", "3"],
    ["{$.total}", "3"],
    ["total: {.total}", "total: 3"],
    ["{.rows[*].id}", "a b c"],
    ["{.rows[0].id}", "a"],
    ["{.rows[-1].id}", "c"],
    ["{.rows[-2].id}", "b"],
    ["{.rows[0:2].id}", "a b"],
    ["{.rows[0,2].id}", "a c"],
    ["{.rows[0]['id','count']}", "a 1"],
    ['{.rows[0]["id"]}', "a"],
    [String.raw`{.rows[0].labels.app\.io/name}`, "web"],
    ["{.rows[0].labels['app.io/name']}", "web"],
    ["{..id}", "a b c"],
    ['{.rows[?(@.id=="b")].count}', "2"],
    ["{.rows[?(@.count>1)].id}", "b c"],
    ['{"{"}{.total}{"}"}', "{3}"],
    ["{'a\\tb'}", "a\tb"],
    ["{.missing}", ""],
    ["{.rows[9].id}", ""],
    ['{range .rows[*]}{.id}{": "}{range .tags[*]}{@}{","}{end}{"\\n"}{end}{$.total}', "a: x,y,\nb: \nc: z,\n3"],
    ['{range .rows[*]}{.id}/{$.total}{" "}{end}', "a/3 b/3 c/3 "],
    ["{@.total}", "3"],
  ])("%s", (template, expected) => {
    expect(renderTemplate(template, ROOT)).toBe(expected);
  });

  test.each(["{@}", "{.}", "{$}"])("%s is all of it", (template) => {
    expect(JSON.parse(renderTemplate(template, ROOT))).toEqual(ROOT);
  });
});

test.each(["{.rows[}", ".rows]", ".rows[?(@.id==]"])("%s is refused", (path) => {
  expect(() => query(path, ROOT)).toThrow(/^invalid JSONPath/);
});

test("a column may count from the end", async () => {
  const { out } = await runPlugin(["-A", "-o", "custom-columns=POD:.pods[-1].name", "--limit", "1"]);
  expect(out).toBe("POD\nubuntu-1-deployment-748575cfcc-5bdpq\n");
});
