// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { parse } from "yaml";
import type { Report } from "../../../src/api/v1alpha1.ts";
import { createDirectorySink, reportToYaml } from "../../../src/sinks/directory-sink.ts";
import { type ReportSink, SinkError } from "../../../src/sinks/report-sink.ts";
import { createFolder } from "../../support/folder.ts";
import { checkAll } from "../../support/gen.ts";
import { SIGNAL } from "../../support/signal.ts";
import { parseList } from "../../support/text-table.ts";
import { SMALL_BODY } from "../api/full-report.ts";

let directory: string;
let sink: ReportSink;

beforeEach(() => {
  directory = join(createFolder(), "out");
  sink = createDirectorySink(directory);
});

function report(namespace: string | undefined, name: string, message = "m"): Report {
  return {
    apiVersion: "reports.kubearmor.com/v1alpha1",
    kind: namespace === undefined ? "ClusterPolicyViolationReport" : "PolicyViolationReport",
    metadata: { name, ...(namespace === undefined ? {} : { namespace }), labels: { a: "b" } },
    ...SMALL_BODY,
    policy: { name, kind: "KubeArmorPolicy", message },
  };
}

async function writeReport(input: Report): Promise<Report> {
  const result = await sink.write(input, SIGNAL);
  if (result.kind !== "written") throw new Error(`not written: ${JSON.stringify(result)}`);
  return result.report;
}

const listReports = (): Promise<Report[]> => Array.fromAsync(sink.list(SIGNAL));

describe("a report becomes a file", () => {
  test("in its namespace's folder, without what only a server knows", async () => {
    const input = report("shop", "p");
    Object.assign(input.metadata, { uid: "u", creationTimestamp: "2026-11-23T10:00:00Z", generation: 3 });
    const { resourceVersion, ...metadata } = (await writeReport(input)).metadata;
    expect(metadata).toEqual({ name: "p", namespace: "shop", labels: { a: "b" } });
    expect(resourceVersion).toMatch(/^[0-9a-f]{16}$/);
    const text = readFileSync(join(directory, "shop/policyviolationreports/p.yaml"), "utf8");
    expect(parse(text).metadata).toEqual(metadata);
  });

  test("of the cluster in its own folder", async () => {
    await writeReport(report(undefined, "p"));
    expect(readdirSync(join(directory, "_cluster/clusterpolicyviolationreports"))).toEqual(["p.yaml"]);
  });

  test("and no temporary file stays", async () => {
    let stored = await writeReport(report("shop", "p", "1"));
    for (const message of ["2", "3"]) stored = await writeReport({ ...stored, policy: { ...stored.policy, message } });
    expect(readdirSync(join(directory, "shop/policyviolationreports"))).toEqual(["p.yaml"]);
  });

  test("and is removed when it is the version that was read", async () => {
    const { metadata } = await writeReport(report("shop", "p"));
    const ref = { namespace: "shop", name: "p" };
    const version = { uid: undefined, resourceVersion: metadata.resourceVersion };
    expect(await sink.remove(ref, { ...version, resourceVersion: "another" }, SIGNAL)).toEqual({ kind: "conflict" });
    expect(await sink.remove(ref, version, SIGNAL)).toEqual({ kind: "removed" });
    expect(await sink.remove(ref, version, SIGNAL)).toEqual({ kind: "absent" });
    expect(readdirSync(join(directory, "shop/policyviolationreports"))).toEqual([]);
  });

  test("also when its name is as long as Kubernetes allows", async () => {
    const names = ["a", "b"].map((end) => `${"x".repeat(252)}${end}`);
    for (const name of names) await writeReport(report("shop", name));
    expect((await listReports()).map((one) => one.metadata.name).sort()).toEqual(names);
  });
});

describe("what is stored is what was read", () => {
  test("read and list give it back, list in the order of namespace and name", async () => {
    const stored = [];
    for (const [namespace, name] of [
      ["b", "y"],
      [undefined, "p"],
      ["a", "z"],
      ["b", "x"],
    ] as const)
      stored.push(await writeReport(report(namespace, name)));
    expect(await sink.read({ namespace: "b", name: "y" }, SIGNAL)).toEqual({ kind: "found", report: stored[0] });
    expect(await sink.read({ name: "p" }, SIGNAL)).toEqual({ kind: "found", report: stored[1] });
    expect(await listReports()).toEqual([stored[1], stored[2], stored[3], stored[0]]);
  });

  test("nothing there is nothing, not an error", async () => {
    expect(await listReports()).toEqual([]);
    expect(await sink.read({ name: "p" }, SIGNAL)).toEqual({ kind: "absent" });
  });

  test("other files are left alone", async () => {
    await writeReport(report("shop", "p"));
    writeFileSync(join(directory, "README.md"), "hello");
    writeFileSync(join(directory, "shop/policyviolationreports/notes.txt"), "hello");
    writeFileSync(join(directory, "shop/policyviolationreports/.1.tmp"), "half a fi");
    expect((await listReports()).map((one) => one.metadata.name)).toEqual(["p"]);
  });

  test.each([
    ["half a report", "apiVersion: reports.kubearmor.com/v1alpha1\nkind: ", "no report"],
    ["no YAML", '"', "no YAML"],
    ["another kind", "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\n", "apiVersion is not"],
    ["a report of another name", reportToYaml(report("shop", "q")), "not those of its path"],
    ["a cluster report", reportToYaml(report(undefined, "p")), "not those of its path"],
  ])("a file that is %s is named, with what to do", async (_title, text, why) => {
    const path = join(directory, "shop/policyviolationreports/p.yaml");
    mkdirSync(join(path, ".."), { recursive: true });
    writeFileSync(path, text);
    const error = await listReports().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(SinkError);
    expect((error as SinkError).message).toContain(`${path}: `);
    expect((error as SinkError).message).toContain(why);
    expect((error as SinkError).message).toContain("remove the file");
  });
});

describe("the version that was read is the version that is replaced", () => {
  test("a second create is a conflict and changes nothing", async () => {
    const stored = await writeReport(report("shop", "p", "first"));
    expect(await sink.write(report("shop", "p", "second"), SIGNAL)).toEqual({ kind: "conflict" });
    expect(await sink.read({ namespace: "shop", name: "p" }, SIGNAL)).toEqual({ kind: "found", report: stored });
  });

  test("a file that was edited is a conflict", async () => {
    const stored = await writeReport(report("shop", "p"));
    const path = join(directory, "shop/policyviolationreports/p.yaml");
    const edited = readFileSync(path, "utf8").replace("a: b", "a: c");
    writeFileSync(path, edited);
    expect(await sink.write(stored, SIGNAL)).toEqual({ kind: "conflict" });
    expect(readFileSync(path, "utf8")).toBe(edited);
  });

  test("a file that was removed is gone", async () => {
    const stored = await writeReport(report("shop", "p"));
    rmSync(join(directory, "shop"), { recursive: true });
    expect(await sink.write(stored, SIGNAL)).toEqual({ kind: "gone" });
    expect(await listReports()).toEqual([]);
  });

  test("a replace gives the next version, and the same content the same one", async () => {
    const first = await writeReport(report("shop", "p", "1"));
    const second = await writeReport({ ...first, policy: { ...first.policy, message: "2" } });
    expect(second.metadata.resourceVersion).not.toBe(first.metadata.resourceVersion);
    expect(await writeReport(second)).toEqual(second);
  });
});

describe("a name can't lead out of the directory", () => {
  test.each(["..", "../p", "a/b", "a\\b", ".hidden", "", "a\0b", "a..b"])("%j", async (name) => {
    await expect(sink.write(report("shop", name), SIGNAL)).rejects.toThrow("broken invariant");
    await expect(sink.write(report(name, "p"), SIGNAL)).rejects.toThrow("broken invariant");
    await expect(sink.read({ name }, SIGNAL)).rejects.toThrow("broken invariant");
  });

  test("and no namespace is the cluster's folder", async () => {
    await expect(sink.write(report("_cluster", "p"), SIGNAL)).rejects.toThrow("broken invariant");
  });
});

describe("a directory that can't be used", () => {
  test("because it is a file is refused with its path", async () => {
    mkdirSync(join(directory, ".."), { recursive: true });
    writeFileSync(directory, "I am a file");
    const result = await sink.write(report("shop", "p"), SIGNAL);
    expect(result).toMatchObject({ kind: "refused", message: expect.stringContaining("ENOTDIR") });
    expect(JSON.stringify(result)).toContain(join(directory, "shop"));
  });

  test("because it may not be written is refused", async () => {
    mkdirSync(directory, { recursive: true });
    chmodSync(directory, 0o500);
    // Root may write everywhere, so root becomes the user 65534 for a moment.
    const isRoot = process.geteuid?.() === 0;
    if (isRoot) process.seteuid?.(65_534);
    const result = await sink.write(report("shop", "p"), SIGNAL);
    if (isRoot) process.seteuid?.(0);
    expect(result).toMatchObject({ kind: "refused", message: expect.stringContaining("EACCES") });
  });
});

describe("the YAML", () => {
  // Texts that one or the other version of YAML takes for something else when they are not quoted.
  const plain = parseList(`
    no | y | on | NULL | ~ | 0x1F | 0o7 | 010 | 1_000 | 1:30 | 1e3 | .inf | 2026-11-23 | 2026-11-23T10:00:00.000001Z
    - a | a: b | a #b | #a | &a | *a | !a | > | %a | @a | {a | [a | 'a' | "a" | é | 日本 | 💥 | = | << | ?
  `);
  const odd = ["|", "`a", " a", "a ", "a\u00a0", "a\u2028b", "\ufeff", "", "a\\b", "a\\nb"];

  test.each([...plain, ...odd])("keeps %j what it is", (text) => {
    const yaml = reportToYaml(report("shop", "p", text));
    expect(parse(yaml, { version: "1.2" }).policy.message).toBe(text);
    expect(parse(yaml, { version: "1.1" }).policy.message).toBe(text);
  });

  test("keeps any text what it is, on one line", () => {
    checkAll(100, [fc.string({ unit: "grapheme", maxLength: 300 })], (text) => {
      const oneLine = text.replace(/[\p{C}\s]/gu, " ");
      const yaml = reportToYaml(report("shop", "p", oneLine));
      expect(parse(yaml, { version: "1.2" }).policy.message).toBe(oneLine);
      expect(parse(yaml, { version: "1.1" }).policy.message).toBe(oneLine);
      expect(yaml.split("\n")).toHaveLength(29);
    });
  });

  test("has neither anchors nor folded lines", () => {
    const one = report("shop", "p", "word ".repeat(100));
    const shared = ["x"];
    Object.assign(one.policy, { tags: shared });
    Object.assign(one, { again: shared });
    const yaml = reportToYaml(one);
    expect(yaml).toContain(`message: "${"word ".repeat(100)}"\n`);
    expect(yaml).toContain("  tags:\n  - x\n");
    expect(yaml).toContain("\nagain:\n- x\n");
  });
});
