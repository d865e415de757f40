// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import type { Violation } from "../../src/api/v1alpha1.ts";
import { report, runPlugin, violation } from "./session.ts";

async function explain(violations: Violation[], mods: Parameters<typeof report>[2] = {}) {
  const { out } = await runPlugin(["explain", "shop/p"], { reports: [report("p", violations, mods)] });
  return out.replace(/\n(?=\S)/g, " ");
}

function parseSnippet(out: string): unknown {
  return parse(/^ {2}apiVersion: security[\s\S]*?\n(?=\n)/m.exec(out)?.[0] ?? "");
}

describe("a violation", () => {
  test("is explained in sentences, with evidence and what to do", async () => {
    const processes = { process: "/usr/bin/apt", parent: "/bin/dash", pid: 792, uid: 0 };
    const time = "2026-11-23T09:59:00.000000Z";
    const latest = {
      time,
      command: "/usr/bin/apt update",
      ...processes,
      enforcer: "BPFLSM",
      result: "Permission denied",
    };
    const found = violation({
      source: "/bin/dash",
      firstSeen: "2026-11-23T09:59:00.000000Z",
      occurrences: 1,
      pods: [{ name: "web-1", node: "n1", occurrences: 1, lastSeen: latest.time }],
      latest,
    });
    const reports = [report("p", [found], { policy: { message: "No package managers", provenance: "Unknown" } })];
    const { code, out, err } = await runPlugin(["explain", "00000000000000aa"], { reports });
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toBe(`Violation 00000000000000aa of shop/p

Prevented: /bin/dash tried to run /usr/bin/apt in container web of Deployment web in namespace shop.

The policy p (KubeArmorPolicy) gives it severity 5 of 10 (medium). Its message: No package managers.
The action is Block: it was prevented by BPFLSM (Permission denied).

Seen 1 time, at 2026-11-23 09:59:00 UTC (60s ago). Pods, the most recent first: web-1 on n1 (1).

The newest alert:
  command  /usr/bin/apt update
  process  /usr/bin/apt (pid 792)
  parent   /bin/dash
  user     (uid 0)
  time     2026-11-23T09:59:00.000000Z

What to do
If it must not happen, nothing has to be done: it was prevented. If it is needed, remove or narrow
the rule of p that matches it. An Allow policy does not help: a Block rule wins over it, and an
Allow policy blocks all that it does not list.

To keep it out of lists, Events and the gate, accept it, and commit what this prints:

  kubectl violations accept 00000000000000aa -n shop --policy p --reason 'WHY' --expires 90d

Report shop/p

1 occurrence of 1 violation: 1 prevented, 0 allowed, 0 unknown; on 1 workload, 1 pod, 1 node.

The report names no gap. Drops inside KubeArmor or its relay cannot be detected.

The policy:
  policy object: unknown: the operator cannot look policies up, for lack of rights or of KubeArmor's CRDs

`);
  });

  test("is found by the beginning of its id, in any namespace", async () => {
    const reports = [report("p", [violation({ id: "b851e64e865e47e7" })], { namespace: "other" })];
    const whole = await runPlugin(["explain", "b851e64e865e47e7"], { reports });
    expect(whole.out).toContain("of other/p");
    expect(await runPlugin(["explain", "b851e6"], { reports })).toEqual(whole);
  });

  test("that was audited for want of enforcement is not called enforced", async () => {
    const out = await explain([violation({ action: "Audit (Block)", outcome: "Allowed" })]);
    expect(out).toContain("Allowed: /bin/sh was able to run /usr/bin/apt");
    expect(out).toContain("It should have been blocked, but was only reported.");
    expect(out).toContain("p says Block, but was not enforced. Check the node for an enforcer");
  });

  // KubeArmor reports the link itself, either path of a renaming, and every file that an open creates as mknod.
  test.each([
    ["symlink", "/data/x", "make the symbolic link /data/x"],
    ["rename", "/data/x", "rename from or to /data/x"],
    ["mknod", "/data/x", "create /data/x"],
    ["mmap-exec", "", "map memory as executable"],
  ])("of verb %s is described without more than the alert says", async (verb, resource, action) => {
    const out = await explain([violation({ operation: "File", verb, resource })]);
    expect(out).toContain(`Prevented: /bin/sh tried to ${action} in container web`);
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
    const { out } = await runPlugin(["explain", "shop/p"], { reports: [report("p", [audited])] });
    const text = out.replace(/\n(?=\S)/g, " ");
    expect(text).toContain("add a policy that blocks exactly this:");
    expect(text).toContain("set the action to Block in p.");
    expect(parseSnippet(out)).toEqual({
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
    const { out } = await runPlugin(["explain", "wordpress-mysql/default-posture"]);
    expect(out).toContain("No policy names it");
    expect(parseSnippet(out)).toMatchObject({
      kind: "KubeArmorPolicy",
      metadata: { namespace: "wordpress-mysql" },
      spec: {
        selector: { matchLabels: { app: "wordpress" } },
        file: { matchPaths: [{ path: "/run/secrets/kubernetes.io/serviceaccount" }] },
        action: "Allow",
      },
    });
  });

  const at = "2026-11-23T09:59:00.000000Z";
  const audited = (mods: Partial<Violation>, latest: object = {}) =>
    violation({ action: "Audit", outcome: "Allowed", ...mods, latest: { time: at, labels: "app=web", ...latest } });

  const by = (path: string) => ({ fromSource: [{ path }] });
  const SH = by("/bin/sh");
  const dash = { process: "/usr/bin/dash", parent: "/usr/bin/bash" };
  const inDash = { path: "/etc/shadow", ...by("/usr/bin/dash") };
  const inTmp = { dir: "/tmp/", recursive: true, ...SH };

  const [TCP, UDP] = ["tcp", "udp"].map((protocol) => ({ protocol, ...SH }));

  test.each<[string, string, string, object, object]>([
    [
      "Process",
      "/tmp/x-*",
      "/bin/sh",
      { enforcer: "AppArmor" },
      { process: { matchPatterns: [{ pattern: "/tmp/x-*" }] } },
    ],
    ["File", "/tmp/x-*", "/bin/sh", { enforcer: "BPFLSM" }, { file: { matchDirectories: [inTmp] } }],
    [
      "Process",
      "/bin/sh",
      "/bin/bash",
      dash,
      { process: { matchPaths: [{ path: dash.process, ...by(dash.parent) }] } },
    ],
    ["File", "/etc/shadow", "/bin/sh", { process: "/usr/bin/dash" }, { file: { matchPaths: [inDash] } }],
    ["Network", "domain=AF_INET protocol=0 type=SOCK_STREAM", "/bin/sh", {}, { network: { matchProtocols: [TCP] } }],
    ["Network", "protocol=udp port=53 peer=10.0.0.10", "/bin/sh", {}, { network: { matchProtocols: [UDP] } }],
    ["Capabilities", "CAP_NET_RAW", "bash", {}, { capabilities: { matchCapabilities: [{ capability: "net_raw" }] } }],
  ])("%s of %s by %s with %j becomes the rule %j", async (operation, resource, source, latest, rule) => {
    const reports = [report("p", [audited({ operation, resource, source }, latest)])];
    const { out } = await runPlugin(["explain", "shop/p"], { reports });
    expect((parseSnippet(out) as { spec: unknown }).spec).toEqual({
      selector: { matchLabels: { app: "web" } },
      ...rule,
      action: "Block",
    });
  });

  test("says where a rule covers more, because the enforcer has no patterns", async () => {
    const pattern = { operation: "File", resource: "/tmp/x-*" };
    const known = await explain([audited(pattern, { enforcer: "BPFLSM" })]);
    expect(known).toContain("BPF-LSM has no patterns: the rule covers the directory /tmp/ in place of /tmp/x-*.");
    const unknown = await explain([audited(pattern, { enforcer: "eBPF Monitor" })]);
    expect(unknown).toContain("The node's enforcer may be BPF-LSM, which has no patterns");
    const root = await explain([audited({ operation: "File", resource: "/x-*" }, { enforcer: "BPFLSM" })]);
    expect(root).toContain("BPF-LSM has no patterns, so that no rule matches exactly /x-*.");
    expect(root).not.toContain("apiVersion");
  });

  test.each<[string, Partial<Violation>, object, string]>([
    [
      "a system call",
      { operation: "Syscall", resource: "" },
      {},
      "KubeArmor can audit system calls, but not block them.",
    ],
    ["a firewall", { operation: "NetworkFirewall", resource: "port=22" }, {}, "KubeArmor has no rule for exactly this"],
    ["a pod without labels", {}, { labels: "" }, "The alert has no labels of the pod"],
    ["no path", { resource: "bash" }, {}, "The report has no path that a rule could name."],
  ])("%s has no rule, and says so", async (_name, mods, latest, why) => {
    const out = await explain([audited(mods, latest)]);
    expect(out).toContain(why);
    expect(out).not.toContain("apiVersion: security");
  });

  test("that was prevented gets no rule that blocks it", async () => {
    const out = await explain([violation({ latest: { time: at, labels: "app=web" } })]);
    expect(out).not.toContain("apiVersion");
    expect(out).toContain("An Allow policy does not help");
  });

  test("of a policy that was deleted gets no advice on that policy", async () => {
    const policy = { provenance: "NotFound" };
    const prevented = await explain([violation()], { policy });
    expect(prevented).toContain("The policy p was deleted");
    expect(prevented).not.toContain("the rule of p");
    const allowed = await explain([audited({})], { policy });
    expect(allowed).not.toContain("set the action to Block in p");
    expect(allowed).toContain("add a policy that blocks exactly this:");
  });

  test("of a policy that says Block gets no advice to block it where the outcome is unknown", async () => {
    const unknown = violation({ outcome: "Unknown", latest: { time: "t", labels: "app=web" } });
    const out = await explain([unknown]);
    expect(out).toContain("p says Block, but the alert does not say if it was prevented.");
    expect(out).toContain("If it is needed, remove or narrow the rule of p that matches it.");
    expect(out).not.toContain("set the action to Block");
    expect(out).not.toContain("security.kubearmor.com");
    const deleted = await explain([unknown], { policy: { provenance: "NotFound" } });
    expect(deleted).toContain("The policy p was deleted. It said Block, but the alert does not say if");
    expect(deleted).not.toContain("remove or narrow");
  });

  test.each([
    [{ tool: "Helm", name: "web" }, "Helm (application web): the next upgrade may revert a change in the cluster."],
    [{ tool: "ArgoCD", name: "web" }, "Argo CD (application web): a change in the cluster may be reverted."],
    [{ name: "web" }, "application web: a change in the cluster may be reverted."],
  ])("of a policy of %j says no more than is known of what reverts a change", async (source, expected) => {
    const object = { kind: "KubeArmorPolicy", namespace: "shop", uid: "u", generation: 1, source };
    const out = await explain([audited({})], { policy: { provenance: "Found", objects: [object] } });
    expect(out).toContain(`set the action to Block in p, in the source of ${expected}`);
  });

  test("names each source where several objects have the policy's name", async () => {
    const object = (kind: string, source: object) => ({ kind, uid: kind, generation: 1, source });
    const objects = [
      object("KubeArmorPolicy", { tool: "ArgoCD", kind: "Application", name: "shop" }),
      object("KubeArmorClusterPolicy", { tool: "Helm", kind: "Release", name: "base" }),
    ];
    const out = await explain([audited({})], { policy: { provenance: "Ambiguous", objects } });
    expect(out).toContain(
      "in the source of Argo CD (Application shop): a change in the cluster may be reverted; " +
        "or in the source of Helm (Release base): the next upgrade may revert a change in the cluster.",
    );
  });

  test("of a policy that a tool manages is changed there", async () => {
    const source = { tool: "Flux", kind: "Kustomization", name: "policies", namespace: "flux-system" };
    const object = { kind: "KubeArmorPolicy", namespace: "shop", uid: "u", generation: 1, source };
    const out = await explain([audited({})], { policy: { provenance: "Found", objects: [object] } });
    expect(out).toContain(
      "set the action to Block in p, in the source of Flux (Kustomization flux-system/policies): a change in the cluster would be reverted.",
    );
  });

  describe("without a pod", () => {
    const container = violation({
      workload: { kind: "Container", name: "web" },
      action: "Audit",
      outcome: "Allowed",
      latest: { time: at, node: "n1", labels: "app=web" },
    });
    const host = violation({ ...container, workload: { kind: "Node", name: "Unknown" } });
    const explainIn = async (one: Violation) => {
      const reports = [report("p", [one], { namespace: undefined })];
      return (await runPlugin(["explain", "cpvr/p"], { reports })).out.replace(/\n(?=\S)/g, " ");
    };

    test("of a container gets no host policy and no acceptance", async () => {
      for (const workload of [container.workload, { kind: "Node", name: "n1" }]) {
        const out = await explainIn({ ...container, workload });
        expect(out).toContain("KubeArmor's policies select pods and hosts, and this container is neither.");
        expect(out).not.toMatch(/apiVersion|kubectl violations accept/);
      }
    });

    test("of a host gets a host policy for its node, and no acceptance", async () => {
      const { container: _, ...own } = { ...container, workload: { kind: "Node", name: "n1" } };
      const out = await explainIn(own);
      expect(parseSnippet(out)).toMatchObject({
        kind: "KubeArmorHostPolicy",
        spec: { nodeSelector: { matchLabels: { "kubernetes.io/hostname": "n1" } } },
      });
      expect(out).not.toContain("kubectl violations accept");
    });

    test("never gets a rule for a node that is Unknown", async () => {
      const { container: _, ...own } = host;
      const out = await explainIn({ ...own, latest: { time: at, node: "Unknown" } });
      expect(out).toContain("The node is not named");
      expect(out).not.toContain("apiVersion");
    });
  });
});

describe("a report", () => {
  test("says why its numbers are lower bounds, what was accepted, and where its policy comes from", async () => {
    const out = await explain([violation({ accepted: { by: "backup-job" } })], {
      policy: {
        provenance: "Ambiguous",
        changedSinceLastSeen: true,
        objects: [
          { kind: "KubeArmorPolicy", namespace: "shop", uid: "u", generation: 3, source: { name: "x" } },
          { kind: "KubeArmorHostPolicy", uid: "v", generation: 1 },
        ],
      },
      coverage: {
        lowerBound: true,
        gaps: 2,
        throttleNotices: 2,
        recent: [{ kind: "NotRunning", from: "2026-11-22T10:00:00.000000Z", to: "2026-11-22T10:05:00.000000Z" }],
      },
    });
    expect(out).toContain("The numbers are lower bounds: 2 gaps in the alert stream, 2 throttle notices.");
    expect(out).toContain("From 2026-11-22 10:00:00 UTC until 2026-11-22 10:05:00 UTC the operator was not running.");
    expect(out).toContain("Seen at least 3 times");
    expect(out).toContain("It is accepted by backup-job.");
    expect(out).not.toContain("kubectl violations accept");
    expect(out).toContain(
      "  policy object: several policies have this name\n  KubeArmorPolicy: shop, generation 3, managed by application x\n" +
        "  KubeArmorHostPolicy: cluster, generation 1\n  changed: after the last violation",
    );
  });

  test("explains the worst five, and all when asked", async () => {
    const many = report(
      "p",
      Array.from({ length: 7 }, (_, n) => violation({ id: `00000000000000a${n}` })),
    );
    const explained = (...flags: string[]) => runPlugin(["explain", "shop/p", ...flags], { reports: [many] });
    const count = async (...flags: string[]) => (await explained(...flags)).out.match(/^Violation /gm)?.length;
    expect([await count(), await count("--limit", "6"), await count("--all")]).toEqual([5, 6, 7]);
    expect((await explained()).err).toBe("2 more violations are listed; --all explains all.\n");
  });

  test.each([
    [["nope"], 3, /there is no report "nope" in namespace default: list the violations/],
    [["cpvr/nope"], 3, /there is no report "nope" of the cluster/],
    [["ffffffffffffffff"], 3, /no report lists a violation ffffffffffffffff in any namespace: it may have expired/],
    [["a/b/c"], 2, /invalid value "a\/b\/c": expected NAME, NAMESPACE\/NAME, cpvr\/NAME/],
    [
      ["default-posture", "-A"],
      2,
      /several reports are named "default-posture": choose one of default-posture, wordpress/,
    ],
    [[], 2, /missing required argument/],
  ])("of %j ends with %i and says what to do", async (args, code, message) => {
    const outcome = await runPlugin(["explain", ...args]);
    expect(outcome.code).toBe(code);
    expect(outcome.err).toMatch(message);
  });
});
