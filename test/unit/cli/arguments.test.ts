// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { describe, expect, test } from "vitest";
import { parseArguments } from "../../../src/cli/arguments.ts";
import { parseConfig } from "../../../src/config/config.ts";
import { parseList } from "../../support/text-table.ts";

function parse(...argv: string[]) {
  return parseArguments(argv, "1.2.3");
}

function runForExit(...argv: string[]) {
  const result = parse(...argv);
  if (!("exit" in result)) throw new Error(`expected an exit, got ${JSON.stringify(result)}`);
  return result;
}

describe("run", () => {
  test("without flags sets nothing", () => {
    expect(parse("run")).toEqual({ command: "run", flags: {}, printConfig: false });
  });

  test("each flag sets the setting that it is named after", () => {
    const argv = ["run", "--config", "c.yaml", "--print-config", "--kubeconfig", "k", "--relay-address=r:1"];
    argv.push("--metrics-address", ":1", "--log-level", "debug", "--no-leader-elect");
    expect(parse(...argv)).toEqual({
      command: "run",
      configPath: "c.yaml",
      printConfig: true,
      flags: {
        kubeconfig: "k",
        "feed.relay.address": "r:1",
        "metrics.address": ":1",
        "log.level": "debug",
        "leaderElection.enabled": false,
      },
    });
  });

  test("what the flags say is judged with the rest of the configuration, by the flag's name", () => {
    const call = parse("run", "--relay-address", "nowhere", "--log-level", "loud");
    if ("exit" in call || call.command !== "run") throw new Error("expected run");
    const result = parseConfig({ flags: call.flags, place: { identity: "h" } });
    expect("problems" in result && result.problems.map(({ path, source }) => [path, source])).toEqual([
      ["feed.relay.address", "--relay-address"],
      ["log.level", "--log-level"],
    ]);
  });
});

describe("replay and demo", () => {
  test("replay takes a file or standard input, and a directory", () => {
    expect(parse("replay", "a.jsonl", "--out", "d")).toEqual({ command: "replay", file: "a.jsonl", out: "d" });
    expect(parse("replay", "--config", "c", "--out=d", "-")).toEqual({
      command: "replay",
      file: "-",
      out: "d",
      configPath: "c",
    });
  });

  test("demo is in the help only where it can run", () => {
    const help = (offersDemo: boolean) => parseArguments(["--help"], "1.2.3", offersDemo);
    expect(help(true)).toMatchObject({ stdout: expect.stringMatching(/^ +demo /m) });
    expect(help(false)).toMatchObject({ exit: 0, stdout: expect.not.stringMatching(/demo/) });
    // A person who knows of it gets the reason.
    expect(parseArguments(["demo"], "1.2.3", false)).toEqual({ command: "demo" });
  });

  test("demo takes a directory or none", () => {
    expect(parse("demo")).toEqual({ command: "demo" });
    expect(parse("demo", "--out", "d")).toEqual({ command: "demo", out: "d" });
  });
});

describe("help and version", () => {
  test("go to standard output with exit code 0", () => {
    expect(runForExit("--version")).toEqual({ exit: 0, stdout: "policy-violation-operator 1.2.3\n", stderr: "" });
    for (const argv of [["--help"], ["-h"], ["help"], ["run", "--help"], ["help", "replay"], ["demo", "-h"]]) {
      const { exit, stdout, stderr } = runForExit(...argv);
      expect([exit, stderr]).toEqual([0, ""]);
      expect(stdout).toMatch(/^Usage: policy-violation-operator /);
      expect(stdout).toContain("Examples:");
      expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(100);
    }
  });

  test("the help of run has every flag and its default", () => {
    const { stdout } = runForExit("run", "--help");
    for (const text of parseList(`
      --config <FILE> | --kubeconfig <FILE> | --relay-address <HOST:PORT> | kubearmor.kubearmor.svc:32767
      --metrics-address <HOST:PORT> | --log-level <LEVEL> | --no-leader-elect | --print-config
    `)) {
      expect(stdout).toContain(text);
    }
  });
});

describe("a wrong call", () => {
  test.each([
    [["rum"], "error: unknown command 'rum'\n(Did you mean run?)\n"],
    [["run", "--relay-adress", "x"], "error: unknown option '--relay-adress'\n(Did you mean --relay-address?)\n"],
    [["run", "--config"], "error: option '--config <FILE>' argument missing\n"],
    [["run", "extra"], "error: too many arguments for 'run'. Expected 0 arguments but got 1: extra.\n"],
    [["replay", "a.jsonl"], "error: required option '--out <DIR>' not specified\n"],
    [["replay", "--out", "d"], "error: missing required argument 'FILE|-'\n"],
    [["--config", "x", "run"], "error: unknown option '--config'\n"],
  ])("%j exits 2 and says why", (argv, said) => {
    expect(runForExit(...argv)).toEqual({ exit: 2, stdout: "", stderr: `${said}See --help for commands and flags.\n` });
  });

  test("no command at all shows the help as an error", () => {
    const { exit, stdout, stderr } = runForExit();
    expect([exit, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(/^Usage: /);
  });

  test("help for a command that is not there is a wrong call or help, never a crash", () => {
    expect([0, 2]).toContain(runForExit("help", "nonsense").exit);
  });
});
