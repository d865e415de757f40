// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import type { Violation } from "../../src/api/v1alpha1.ts";
import { plugin, report, violation } from "./session.ts";

async function explained(violations: Violation[], mods: Parameters<typeof report>[2] = {}) {
  const { out } = await plugin(["explain", "shop/p"], { reports: [report("p", violations, mods)] });
  return out.replace(/\n(?=\S)/g, " ");
}

function snippetOf(out: string): unknown {
  return parse(/^ {2}apiVersion: security[\s\S]*?\n(?=\n)/m.exec(out)?.[0] ?? "");
}

describe("a violation", () => {
  test("is told in sentences, with evidence and what to do", async () => {
    const { code, out, err } = await plugin(["explain", "3c94b4b81d535cb9"]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toBe(`Violation 3c94b4b81d535cb9 of default/block-pkg-mgmt-tools-exec

Stopped: /bin/dash tried to run /usr/bin/apt in container nginx of Pod nginx-8f458dc5b-fl42t in
namespace default.

The policy block-pkg-mgmt-tools-exec (KubeArmorPolicy) gives it severity 1 of 10 (info). The action
is Block: it was stopped by BPFLSM (Permission denied).

Seen 1 time, at 2023-06-11 09:19:43 UTC (3y ago). Pods, the most recent first: nginx-8f458dc5b-fl42t
on ip-172-31-24-142 (1).

The newest alert:
  command  /usr/bin/apt update
  process  /usr/bin/apt (pid 792, on the host 3341928)
  parent   /bin/dash (pid 786)
  user     (uid 0)
  data     syscall=SYS_EXECVE
  image    docker.io/library/nginx:latest@sha256:af296b188c7b7df99ba960ca614439c99cb7cf252ed7bbc23e90cfda59092305
  labels   app=nginx
  time     2023-06-11T09:19:43.451704Z

What to do
If it must not happen, nothing is to be done: it was stopped. If it is needed, take it out of
block-pkg-mgmt-tools-exec: an Allow policy does not override a Block rule. Narrow the rule
(fromSource, readOnly, ownerOnly) or the selector; the rule in question matches this:

  apiVersion: security.kubearmor.com/v1
  kind: KubeArmorPolicy
  metadata:
    name: block-3c94b4b81d535cb9
    namespace: default
  spec:
    selector:
      matchLabels:
        app: nginx
    process:
      matchPaths:
      - path: /usr/bin/apt
        fromSource:
        - path: /bin/dash
    action: Block

Report default/block-pkg-mgmt-tools-exec

2 occurrences of 2 violations: 1 prevented, 1 allowed, 0 unknown; on 2 workloads, 2 pods, 2 nodes.

No gap is known: the numbers are all that KubeArmor sent.

`);
  });

  test("is found by the beginning of its id, in any namespace", async () => {
    const whole = await plugin(["explain", "41a589a66b87c1f3"]);
    expect(whole.out).toContain("of wordpress-mysql/harden-wordpress-pkg-mngr-exec");
    expect(await plugin(["explain", "41a589"])).toEqual(whole);
  });

  test("that was audited for want of enforcement is told as what it is", async () => {
    const out = await explained([violation({ action: "Audit (Block)", outcome: "Allowed" })]);
    expect(out).toContain("It happened: /bin/sh was allowed to run /usr/bin/apt");
    expect(out).toContain("It should have been blocked and was not: this node or pod does not enforce.");
    expect(out).toContain("p says Block already. Find out why it is not enforced");
  });

  test("that was only audited gets the policy that blocks exactly it", async () => {
    const labels = "app=web,pod-template-hash=5d6b975744,tier=front";
    const audited = violation({
      action: "Audit",
      outcome: "Allowed",
      operation: "File",
      resource: "/etc/secrets/",
      latest: { time: "2026-11-23T09:59:00.000000Z", labels },
    });
    const { out } = await plugin(["explain", "shop/p"], { reports: [report("p", [audited])] });
    expect(out).toContain("add a policy that blocks exactly this:");
    expect(snippetOf(out)).toEqual({
      apiVersion: "security.kubearmor.com/v1",
      kind: "KubeArmorPolicy",
      metadata: { name: "block-00000000000000aa", namespace: "shop" },
      spec: {
        selector: { matchLabels: { app: "web", tier: "front" } },
        file: { matchDirectories: [{ dir: "/etc/secrets/", fromSource: [{ path: "/bin/sh" }] }] },
        action: "Block",
      },
    });
  });

  test("of the default posture gets the policy that allows exactly it", async () => {
    const { out } = await plugin(["explain", "wordpress-mysql/default-posture"]);
    expect(out).toContain("No policy names it");
    expect(snippetOf(out)).toMatchObject({
      kind: "KubeArmorPolicy",
      metadata: { namespace: "wordpress-mysql" },
      spec: {
        selector: { matchLabels: { app: "wordpress" } },
        file: { matchPaths: [{ path: "/run/secrets/kubernetes.io/serviceaccount" }] },
        action: "Allow",
      },
    });
  });

  test.each<[Partial<Violation>, unknown]>([
    [
      { operation: "Process", resource: "/tmp/x-*" },
      { process: { matchPatterns: [{ pattern: "/tmp/x-*" }] } },
    ],
    [
      { operation: "Network", resource: "domain=AF_INET protocol=0 type=SOCK_STREAM" },
      { network: { matchProtocols: [{ protocol: "tcp", fromSource: [{ path: "/bin/sh" }] }] } },
    ],
    [
      { operation: "Capabilities", resource: "CAP_NET_RAW", source: "bash" },
      { capabilities: { matchCapabilities: [{ capability: "net_raw" }] } },
    ],
  ])("%j becomes the rule %j", async (mods, rule) => {
    const latest = { time: "2026-11-23T09:59:00.000000Z", labels: "app=web" };
    const { out } = await plugin(["explain", "shop/p"], {
      reports: [report("p", [violation({ ...mods, latest })])],
    });
    expect((snippetOf(out) as { spec: unknown }).spec).toEqual({
      selector: { matchLabels: { app: "web" } },
      ...(rule as object),
      action: "Block",
    });
  });

  test("for which there is no rule gets none, and is told so", async () => {
    const out = await explained([violation({ operation: "Syscall", resource: "" })]);
    expect(out).toContain("do what the alert does not name (Syscall)");
    expect(out).toContain("Its rule can't be told from the report.");
    expect(out).not.toContain("apiVersion");
  });

  test("that is a host's gets a host policy for its node", async () => {
    const { out } = await plugin(["explain", "cpvr/sleep-deny"]);
    expect(snippetOf(out)).toMatchObject({
      kind: "KubeArmorHostPolicy",
      spec: {
        nodeSelector: {
          matchLabels: { "kubernetes.io/hostname": "gke-my-first-cluster-1-default-pool-9144db50-81gb" },
        },
      },
    });
  });
});

describe("a report", () => {
  test("says why its numbers are lower bounds, what was accepted, and where its policy comes from", async () => {
    const out = await explained([violation({ accepted: { by: "backup-job" } })], {
      policy: {
        provenance: { kind: "KubeArmorPolicy", generation: 3, git: { repository: "https://git/x" } },
      },
      coverage: {
        lowerBound: true,
        gaps: 2,
        throttleNotices: 1,
        recent: [
          { kind: "NotRunning", from: "2026-11-22T10:00:00.000000Z", to: "2026-11-22T10:05:00.000000Z" },
          7,
        ],
      },
    });
    expect(out).toContain(
      "The numbers are lower bounds: 2 times nobody read the stream, and KubeArmor muted a container 1 time.",
    );
    expect(out).toContain(
      "From 2026-11-22 10:00:00 UTC until 2026-11-22 10:05:00 UTC the operator was not running.",
    );
    expect(out).toContain("Seen at least 3 times");
    expect(out).toContain("It is accepted: backup-job.");
    expect(out).toContain("  kind: KubeArmorPolicy\n  generation: 3\n  git.repository: https://git/x");
  });

  test("tells the worst five, and all when asked", async () => {
    const many = report(
      "p",
      Array.from({ length: 7 }, (_, n) => violation({ id: `00000000000000a${n}` })),
    );
    const some = await plugin(["explain", "shop/p"], { reports: [many] });
    expect(some.out.match(/^Violation /gm)).toHaveLength(5);
    expect(some.err).toBe("… and 2 more violations; --all tells all.\n");
    expect(
      (await plugin(["explain", "shop/p", "--all"], { reports: [many] })).out.match(/^Violation /gm),
    ).toHaveLength(7);
  });

  test.each([
    [["explain", "nope"], 3, /there is no report "nope" in namespace default; list what there is/],
    [["explain", "cpvr/nope"], 3, /there is no report "nope" of the cluster/],
    [["explain", "ffffffffffffffff"], 3, /there is no violation ffffffffffffffff in any namespace/],
    [["explain", "a/b/c"], 2, /"a\/b\/c" is no report: give NAME, NAMESPACE\/NAME, cpvr\/NAME/],
    [
      ["explain", "default-posture", "-A"],
      2,
      /several reports are called "default-posture": say which: default-posture, wordpress/,
    ],
    [["explain"], 2, /missing required argument/],
  ])("%j ends with %i and says what to do", async (argv, code, message) => {
    const outcome = await plugin(argv);
    expect(outcome.code).toBe(code);
    expect(outcome.err).toMatch(message);
  });
});
