// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { completions, directory, plugin } from "./session.ts";

describe("the shell is offered", () => {
  test.each([
    [
      [""],
      ["explain", "top", "timeline", "readiness", "export", "push", "gate", "audit", "completion", ":4"],
    ],
    [["ga"], ["gate", ":4"]],
    [
      ["-n", "my"],
      ["my-ext-secret", ":4"],
    ],
    [
      ["--namespace", "w"],
      ["wordpress-mysql", ":4"],
    ],
    [
      ["--context", ""],
      ["dev", "prod", ":4"],
    ],
    [
      ["-n", "default", "--policy", "audit"],
      ["audit-all-unlink", "audit-etc-nginx-access", ":4"],
    ],
    [
      ["-n", "default", "--workload", "v"],
      ["vault-0", ":4"],
    ],
    [
      ["gate", "-o", ""],
      ["text", "json", "junit", "sarif", ":4"],
    ],
    [
      ["-o", "w"],
      ["wide", ":4"],
    ],
    [
      ["--severity", "c"],
      ["critical", ":4"],
    ],
    [
      ["explain", "-n", "wordpress-mysql", "def"],
      ["default-posture", ":4"],
    ],
    [
      ["explain", "-A", "cpvr/s"],
      ["cpvr/sleep-deny", ":4"],
    ],
    [
      ["readiness", "-n", "wordpress-mysql", "Def"],
      ["DefaultPosture", ":4"],
    ],
    [
      ["export", "--s"],
      ["--summary", ":4"],
    ],
    [["export", "--out", ""], [":0"]],
    [
      ["completion", "f"],
      ["fish", ":4"],
    ],
    [["nonsense", ""], [":4"]],
  ])("for %j %j", async (words, offered) => {
    expect(await completions(words)).toEqual(offered);
  });

  test("nothing, and no error, when there is no cluster", async () => {
    const broken = {
      where: "nowhere",
      list: () => {
        throw new Error("no connection");
      },
      read: async () => undefined,
      namespaces: async () => {
        throw new Error("no connection");
      },
    };
    expect(await completions(["-n", ""], { reports: broken })).toEqual([":4"]);
    expect(await completions(["explain", ""], { reports: broken })).toEqual([":4"]);
  });
});

describe("a script", () => {
  test.each(["bash", "zsh", "fish"])(
    "for %s is one that the shell reads, where it is installed",
    async (shell) => {
      const { code, out } = await plugin(["completion", shell]);
      expect(code).toBe(0);
      const file = join(directory(), "script");
      writeFileSync(file, out);
      if (spawnSync(shell, ["-c", "true"]).status === 0) execFileSync(shell, ["-n", file]);
    },
  );

  test("completes in a real bash", async () => {
    const dir = directory();
    writeFileSync(join(dir, "script"), (await plugin(["completion", "bash"])).out);
    writeFileSync(
      join(dir, "kubectl_complete-violations"),
      '#!/bin/sh\necho "$#:$1:$2"; echo "a b"; echo :4\n',
    );
    chmodSync(join(dir, "kubectl_complete-violations"), 0o755);
    const ask =
      'source script; COMP_WORDS=(kubectl-violations -n x); COMP_CWORD=2; _kubectl_violations; printf "%s\\n" "${COMPREPLY[@]}"';
    const env = { PATH: `${dir}:${process.env["PATH"]}` };
    const reply = execFileSync("bash", ["-c", ask], { cwd: dir, encoding: "utf8", env });
    expect(reply).toBe("2:-n:x\na\\ b\n");
  });

  test("for another shell is refused", async () => {
    expect((await plugin(["completion", "csh"])).err).toBe(
      'error: there is no completion for "csh": choose bash, zsh, fish\n',
    );
  });
});
