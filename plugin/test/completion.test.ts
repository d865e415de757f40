// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
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
    [
      ["-n", "default", "ex"],
      ["explain", "export", ":4"],
    ],
    [
      ["-n", "default", "explain", "ksp"],
      ["ksp-vault-network", ":4"],
    ],
    [
      ["--namespace=default", "--policy=audit"],
      ["audit-all-unlink", "audit-etc-nginx-access", ":4"],
    ],
    [["export", "--out=/u"], [":0"]],
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

function isMissing(shell: string): boolean {
  return spawnSync(shell, ["-c", "true"]).status !== 0;
}

/** util-linux's script gives a shell its terminal. */
const HAS_NO_TERMINAL = spawnSync("script", ["-qec", "true", "/dev/null"]).status !== 0;

/** Offers "gate" as a command, a policy and the end of a context, and files where a file is wanted. */
const ANSWERS = `#!/bin/sh
for last; do :; done
case $last in
  *gate.d/*) echo :0 ;;
  a:* | *=a:*) printf 'a:b/c:gate\n:4\n' ;;
  *) printf 'gate\n:4\n' ;;
esac
`;

async function shellWith(shell: string): Promise<{ dir: string; env: NodeJS.ProcessEnv }> {
  const dir = directory();
  writeFileSync(join(dir, "script"), (await plugin(["completion", shell])).out);
  writeFileSync(join(dir, "kubectl_complete-violations"), ANSWERS);
  chmodSync(join(dir, "kubectl_complete-violations"), 0o755);
  mkdirSync(join(dir, "gate.d/out"), { recursive: true });
  const env = { ...process.env, PATH: `${dir}:${process.env["PATH"]}`, HOME: dir, XDG_CONFIG_HOME: dir };
  return { dir, env };
}

const RC: Readonly<Record<string, readonly [file: string, lines: string]>> = {
  bash: [".bashrc", `bind -x '"\\C-g": printf %s "$READLINE_LINE" >line; echo TOLD'`],
  zsh: [
    ".zshrc",
    'autoload -Uz compinit; compinit -u -D; tell() { print -rn -- "$BUFFER" >line; echo TOLD }; zle -N tell; bindkey "^G" tell',
  ],
};

/** The line that a shell on a terminal has after `typed` and TAB; a key makes it tell. */
async function lineIn(shell: string, typed: string): Promise<string> {
  const { dir, env } = await shellWith(shell);
  const [file, lines] = RC[shell] ?? ["", ""];
  writeFileSync(join(dir, file), `${lines}\nsource ./script\nPS1='READY> '\n`);
  const start = shell === "bash" ? "bash --noprofile --rcfile .bashrc -i" : "zsh -d -i";
  const child = spawn("script", ["-qec", start, "/dev/null"], {
    cwd: dir,
    env: { ...env, TERM: "dumb", ZDOTDIR: dir },
  });
  const shown = (what: string) =>
    new Promise<void>((resolve) => {
      let all = "";
      const look = (chunk: Buffer) => {
        all += chunk.toString();
        if (!all.includes(what)) return;
        child.stdout.off("data", look);
        resolve();
      };
      child.stdout.on("data", look);
    });
  const ended = once(child, "exit");
  try {
    await shown("READY> ");
    const told = shown("TOLD");
    child.stdin.write(`${typed}\t\x07`);
    await told;
    return readFileSync(join(dir, "line"), "utf8");
  } finally {
    // The shell goes with its terminal.
    child.kill("SIGKILL");
    await ended;
  }
}

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

  const CASES = [
    ["kubectl-violations ga", "kubectl-violations gate "],
    ["kubectl-violations -n default ga", "kubectl-violations -n default gate "],
    ["kubectl-violations --policy=ga", "kubectl-violations --policy=gate "],
    ["kubectl-violations --context a:b/c:g", "kubectl-violations --context a:b/c:gate "],
    ["kubectl-violations --context=a:b/c:g", "kubectl-violations --context=a:b/c:gate "],
    ["kubectl-violations export --out=gate.d/o", "kubectl-violations export --out=gate.d/out/"],
    ["kubectl-violations export --out gate.d/o", "kubectl-violations export --out gate.d/out/"],
  ] as const;

  test.skipIf(HAS_NO_TERMINAL).each(CASES)("completes in a real bash: %s", async (typed, completed) => {
    expect(await lineIn("bash", typed)).toBe(completed);
  });

  test.skipIf(HAS_NO_TERMINAL || isMissing("zsh")).each(CASES)(
    "completes in a real zsh: %s",
    async (typed, completed) => {
      expect(await lineIn("zsh", typed)).toBe(completed);
    },
  );

  test.skipIf(isMissing("fish")).each(CASES)("completes in a real fish: %s", async (typed, completed) => {
    const { dir, env } = await shellWith("fish");
    const ask = ["--no-config", "-c", `source script; complete -C '${typed}'`];
    const offered = execFileSync("fish", ask, { cwd: dir, encoding: "utf8", env }).split("\n");
    expect(offered).toEqual([completed.trimEnd().split(" ").at(-1), ""]);
  });

  test("for another shell is refused", async () => {
    expect((await plugin(["completion", "csh"])).err).toBe(
      'error: there is no completion for "csh": choose bash, zsh, fish\n',
    );
  });
});
