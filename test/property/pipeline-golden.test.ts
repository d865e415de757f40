// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Alerts in, files out, byte for byte: test/golden/<case>/alerts.jsonl through `replay` must give what stands in
// test/golden/<case>/reports and printed.txt. UPDATE_GOLDEN=1 writes these again, to be read as a diff.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkAllAsync } from "../support/gen.ts";
import { ROOT } from "../unit/api/crd.ts";
import { findFaults } from "../unit/report/report-check.ts";
import { type Replayed, readTree, runReplay } from "./pipeline-replay.ts";

const GOLDEN = join(ROOT, "test/golden");
const CASES = readdirSync(GOLDEN).filter((name) => existsSync(join(GOLDEN, name, "alerts.jsonl")));
const update = process.env["UPDATE_GOLDEN"] === "1";

function readInput(name: string): { lines: string; config: string | undefined } {
  const config = join(GOLDEN, name, "config.yaml");
  return {
    lines: readFileSync(join(GOLDEN, name, "alerts.jsonl"), "utf8"),
    config: existsSync(config) ? readFileSync(config, "utf8") : undefined,
  };
}

function formatOutput({ code, out, err }: Replayed): string {
  return `${out}${err}exit code ${code}\n`;
}

async function write(name: string, replayed: Replayed): Promise<void> {
  await rm(join(GOLDEN, name, "reports"), { recursive: true, force: true });
  for (const [path, text] of Object.entries(replayed.files)) {
    const target = join(GOLDEN, name, "reports", path);
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, text);
  }
  await writeFile(join(GOLDEN, name, "printed.txt"), formatOutput(replayed));
}

describe("golden files", () => {
  it("are not rewritten in continuous integration", () => {
    expect(update && process.env["CI"] !== undefined, "UPDATE_GOLDEN with CI").toBe(false);
  });

  it("are there", () => {
    expect(CASES).toEqual(["hostile", "limits", "samples", "spellings", "throttle"]);
  });

  it.each(CASES)("of %s are what replay writes", async (name) => {
    const { lines, config } = readInput(name);
    const replayed = await runReplay(lines, config);
    expect(replayed.reports.flatMap(findFaults)).toEqual([]);
    if (update && process.env["CI"] === undefined) await write(name, replayed);
    expect(replayed.files).toEqual(await readTree(join(GOLDEN, name, "reports")));
    expect(formatOutput(replayed)).toBe(readFileSync(join(GOLDEN, name, "printed.txt"), "utf8"));
  });

  it("of the samples are of the samples", () => {
    expect(readInput("samples").lines).toBe(readFileSync(join(ROOT, "samples/alerts.jsonl"), "utf8"));
  });

  it("hold nothing that a terminal would act on, and no secret", async () => {
    const { files, out, err } = await runReplay(readInput("hostile").lines);
    const text = [...Object.values(files), out, err].join("");
    expect(text.replaceAll("\n", "")).not.toMatch(/[\p{C}\u2028\u2029]/u);
    expect(text).not.toContain("hunter2");
    for (const path of Object.keys(files)) expect(path).toMatch(/^[a-z_][a-z0-9-]*\/[a-z]+\/[a-z0-9.-]+\.yaml$/);
  });
});

describe("the same lines", () => {
  // A line without a time of its own takes that of the line before it, so its place matters.
  const isDated = (line: string) => /"(UpdatedTime|updatedTime)": ?"20\d\d-\d\d-\d\d[T ]\d\d:/.test(line);

  it.each(CASES)("of %s in any order give the same bytes", async (name) => {
    const { lines, config } = readInput(name);
    const dated = lines.split("\n").filter(isDated);
    expect(dated.length).toBeGreaterThan(5);
    const expected = (await runReplay(dated.join("\n"), config)).files;
    const order = fc.shuffledSubarray(dated, { minLength: dated.length });
    await checkAllAsync(4, [order], async (shuffled) => {
      expect((await runReplay(shuffled.join("\n"), config)).files).toEqual(expected);
    });
  });

  it("replayed into their own reports change nothing", async () => {
    const { lines } = readInput("spellings");
    expect((await runReplay(lines)).files).toEqual((await runReplay(lines)).files);
  });
});
