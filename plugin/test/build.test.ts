// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { accessSync, constants, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { runInNewContext } from "node:vm";
import { describe, expect, onTestFinished, test } from "vitest";
import { buildPlugin, starter } from "../build.ts";

/** Runs the program's first file on a Node of that version. */
function start(node: string): { said: string[]; exit: number | undefined; loaded: string[] } {
  const result = { said: [] as string[], exit: undefined as number | undefined, loaded: [] as string[] };
  const exit = (code: number) => {
    result.exit = code;
    throw new Error("exit");
  };
  const process = { versions: { node }, execPath: "/usr/bin/node", exit };
  const console = { error: (text: string) => result.said.push(text) };
  const require = (path: string) => result.loaded.push(path);
  try {
    runInNewContext(starter(), { process, console, require });
  } catch (error) {
    if (result.exit === undefined) throw error;
  }
  return result;
}

describe("the version of Node", () => {
  test.each(["22.19.0", "22.20.1", "24.0.0", "100.1.0"])("%s runs the plugin", (node) => {
    expect(start(node)).toEqual({ said: [], exit: undefined, loaded: ["./violations.cjs"] });
  });

  test.each(["8.17.0", "20.20.2", "22.18.9"])("%s is refused with what to do", (node) => {
    expect(start(node)).toEqual({
      said: [
        `error: kubectl violations needs Node.js 22.19 or newer, but "node" is ${node} (/usr/bin/node): install a newer one, or put it first in the PATH.`,
      ],
      exit: 2,
      loaded: [],
    });
  });
});

test("kubectl finds one plugin in the folder, and it is executable", async () => {
  const dir = mkdtempSync(join(tmpdir(), "pvo-plugin-"));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const plugins = (await buildPlugin(dir)).filter((file) => basename(file).startsWith("kubectl-"));
  expect(plugins.map((file) => basename(file))).toEqual(["kubectl-violations"]);
  for (const file of plugins) accessSync(file, constants.X_OK);
});
