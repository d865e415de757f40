// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The CRD of AcceptedViolation and the chart's ValidatingAdmissionPolicy on a real API server: they refuse what the
// operator would mark as Invalid, and nothing else.

import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { readAcceptance } from "../../src/acceptance/parse-acceptance.ts";
import { renderAcceptance } from "../support/acceptances.ts";
import { eventually } from "../support/eventually.ts";
import { describeReal, useCluster } from "../support/real-parts.ts";

const CHART = join(import.meta.dirname, "../../charts/policy-violation-operator");

const MATCH = { policy: "no-shells" };

const matchResource = (resource: string) => ({ match: { ...MATCH, resource }, reason: "r" });

/** A spec and a part of the refusal; undefined where it must be stored. */
const CASES: [spec: object, refusal: string | undefined][] = [
  [{ match: MATCH, reason: "r" }, undefined],
  [{ match: MATCH, reason: "r", owner: "o", expires: "2020-01-01T00:00:00Z" }, undefined],
  [{ match: { ...MATCH, workload: { kind: "Deployment", name: "x" } }, reason: "r" }, undefined],
  [{ match: MATCH, reason: "r", reasn: "x" }, "spec has an unknown key"],
  [{ match: { ...MATCH, resouce: "/bin/sh" }, reason: "r" }, "spec.match has an unknown key"],
  [{ match: { ...MATCH, workload: { nam: "x" } }, reason: "r" }, "spec.match.workload has an unknown key"],
  [{ match: MATCH, reason: "  " }, 'spec.reason: Invalid value: "  ": must not be empty'],
  [{ match: { policy: " " }, reason: "r" }, 'spec.match.policy: Invalid value: " ": must not be empty'],
  [{ match: { policy: "no-*" }, reason: "r" }, "name one policy"],
  [{ match: { ...MATCH, container: "web*" }, reason: "r" }, "name one container"],
  [{ match: { ...MATCH, operation: "network" }, reason: "r" }, "begins with a capital letter"],
  [{ match: { ...MATCH, verb: "Exec" }, reason: "r" }, "is in lower case and no glob"],
  [{ match: { ...MATCH, verb: "mmap-exec", operation: "File", protocol: "" }, reason: "r" }, "protocol"],
  [{ match: { ...MATCH, verb: "syscall-999", workload: { name: "migrate-*" } }, reason: "r" }, undefined],
  [matchResource("/bin/*"), undefined],
  [matchResource("/**/x?"), undefined],
  [matchResource("**"), undefined],
  [matchResource("/a\\[1\\]\\*\\\\"), undefined],
  [matchResource("/a\\***"), undefined],
  [matchResource("/tmp/ü*\n"), undefined],
  [matchResource(""), undefined],
  [matchResource("\\.\\./x"), undefined],
  [matchResource("/bin/***"), "wildcards are"],
  [matchResource("/bin/{sh,bash}"), "wildcards are"],
  [matchResource("/lib[0-9]"), "wildcards are"],
  [matchResource("/a\\\\[1\\]"), "wildcards are"],
  [matchResource("/a\\"), "wildcards are"],
  [{ match: { ...MATCH, source: "!x" }, reason: "r" }, "wildcards are"],
  [{ match: { ...MATCH, source: "", container: "", verb: "" }, reason: "r" }, undefined],
  [matchResource("/usr/../etc/*"), "write the path without . and .. in it"],
  [matchResource("./x"), "write the path without . and .. in it"],
  [matchResource("/a/.."), "write the path without . and .. in it"],
  [matchResource("/root/..data/.profile"), undefined],
  [{ match: { ...MATCH, operation: "Network", port: 443, protocol: "tcp" }, reason: "r" }, undefined],
  [{ match: { ...MATCH, operation: "NetworkFirewall", protocol: "icmp" }, reason: "r" }, undefined],
  [{ match: { ...MATCH, port: 443 }, reason: "r" }, undefined],
  [{ match: { ...MATCH, operation: "File", port: 443 }, reason: "r" }, "port and protocol need operation Network"],
  [{ match: { ...MATCH, operation: "Syscall", protocol: "tcp" }, reason: "r" }, "port and protocol need operation"],
  [{ match: { ...MATCH, port: 0 }, reason: "r" }, "should be greater than or equal to 1"],
  [{ match: { ...MATCH, outcome: "Blocked" }, reason: "r" }, "Unsupported value"],
  [{ match: MATCH, reason: "r", expires: "soon" }, "must be of type date-time"],
];

describeReal("the admission policy", () => {
  const cluster = useCluster({ controllerManager: false, crds: true });

  beforeAll(async () => {
    // Stored before the policy: a label may still be changed, and the spec only to what is valid.
    await cluster.apply(renderAcceptance("old", { match: MATCH, reason: "r", reasn: "x" }, "default"));
    const chart = await cluster.helm(["template", "pvo", CHART, "-s", "templates/admission-policy.yaml"]);
    await cluster.apply(chart);
    await eventually("the policy", async () =>
      (await getRefusal({ match: MATCH, reason: "r", reasn: "x" })) === undefined ? undefined : true,
    );
  });

  /** The text of the refusal; undefined when it is accepted. */
  async function getRefusal(spec: object, ...args: string[]): Promise<string | undefined> {
    const input = renderAcceptance("a", spec, "default");
    try {
      await cluster.kubectl(["create", "--dry-run=server", ...args, "-f", "-"], { input });
      return undefined;
    } catch (error) {
      return String(error);
    }
  }

  test("has no type error", async () => {
    const text = await cluster.kubectl(["get", "validatingadmissionpolicy", "-o", "json"]);
    const { items } = JSON.parse(text) as { items: { status?: { typeChecking?: object } }[] };
    expect(items).toHaveLength(1);
    expect(items[0]?.status?.typeChecking ?? {}).toEqual({});
  });

  test.each(CASES)("%j: %s", async (spec, expected) => {
    const text = await getRefusal(spec);
    if (expected === undefined) expect(text).toBeUndefined();
    else expect(text).toContain(expected);
    // The operator agrees.
    const metadata = { name: "a", namespace: "default", uid: "u" };
    const effect = readAcceptance({ metadata, spec })?.effect;
    expect(effect !== undefined && "problem" in effect).toBe(expected !== undefined);
  });

  test("leaves metadata of what was stored before alone, and its spec may become valid", async () => {
    await cluster.kubectl(["label", "av", "old", "team=web"]);
    await expect(
      cluster.kubectl(["patch", "av", "old", "--type=merge", "-p", '{"spec":{"reason":"other"}}']),
    ).rejects.toThrow("spec has an unknown key");
    await cluster.kubectl(["patch", "av", "old", "--type=merge", "-p", '{"spec":{"reasn":null}}']);
  });
});
