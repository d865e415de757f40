// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { createFolder } from "../../support/folder.ts";

const CHECK = join(import.meta.dirname, "../../../tools/check-node.mjs");

/** Runs a program behind the check on this Node.js, which claims to be another version. */
function runAs(version: string) {
  const claim = `Object.defineProperty(process, "versions", { value: { ...process.versions, node: "${version}" } })`;
  return spawnSync(
    process.execPath,
    ["--import", `data:text/javascript,${encodeURIComponent(claim)}`, "--import", CHECK, "-e", "console.log('ran')"],
    { encoding: "utf8" },
  );
}

describe("the check of the Node.js version", () => {
  it.each(["20.20.2", "22.17.1"])("ends with one line on %s", (version) => {
    const { status, stdout, stderr } = runAs(version);
    expect([status, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(/^error: Node\.js \S+ can't run this project: install Node\.js >= 22\.18 .*\n$/);
  });

  it.each(["22.18.0", "24.0.0", "26.10.0"])("lets %s run", (version) => {
    expect(runAs(version)).toMatchObject({ status: 0, stdout: "ran\n" });
  });

  it("ends with one line where the packages are not installed", () => {
    const folder = createFolder();
    mkdirSync(join(folder, "tools"));
    copyFileSync(CHECK, join(folder, "tools/check-node.mjs"));
    const check = join(folder, "tools/check-node.mjs");
    const { status, stderr } = spawnSync(process.execPath, ["--import", check, "-e", ""], { encoding: "utf8" });
    const text = "error: the packages of this project are not installed: run `npm ci`\n";
    expect({ status, stderr }).toEqual({ status: 1, stderr: text });
  });
});
