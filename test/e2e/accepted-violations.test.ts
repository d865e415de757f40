// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Accepting violations as a team does it: kubectl apply, and then what kubectl get and the Events say.

import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import type { AcceptanceStatus } from "../../src/api/acceptance.ts";
import type { Alert } from "../../src/api/alert.ts";
import type { WireAlert } from "../../tools/kubearmor-node/alerts.ts";
import { manifest } from "../../tools/sample-objects.ts";
import { eventually } from "../support/eventually.ts";
import { wireAlert } from "../support/gen.ts";
import { useNode } from "../support/operator-bed.ts";
import { describeReal, useCluster } from "../support/real-parts.ts";
import { report } from "../support/reports.ts";

const CRDS = join(import.meta.dirname, "../../crds");
const POLICY = "no-package-managers";

let pid = 1;

/** An alert that is no duplicate of another one. */
function wire(mods: Partial<Alert>): WireAlert {
  return wireAlert({ UpdatedTime: new Date().toISOString(), HostPID: pid++ }, mods);
}

function acceptance(name: string, spec: unknown, namespace = "shop"): string {
  const metadata = { name, namespace };
  return JSON.stringify({
    apiVersion: "reports.kubearmor.com/v1alpha1",
    kind: "AcceptedViolation",
    metadata,
    spec,
  });
}

describeReal("accepting", () => {
  const cluster = useCluster({ controllerManager: false });
  const bed = useNode(cluster);

  beforeAll(async () => {
    await cluster.kubectl(["apply", "--server-side", "-f", CRDS]);
    await cluster.kubectl(["wait", "--for=condition=Established", "--timeout=60s", "crd", "--all"]);
    const pods = ["shop", "bank"].flatMap((namespace) =>
      ["web-1", "web-2"].map((name) => ({ namespace, name })),
    );
    await cluster.apply(manifest({ namespaces: ["shop", "bank"], pods, nodes: ["node-1"] }));
    await bed.start({ env: { PVO_REPORTS_MIN_INTERVAL_MS: "200" } });
  });

  /** Prevented, allowed and severity as `kubectl get pvr` shows them. */
  async function columns(namespace = "shop"): Promise<string> {
    const text = await cluster.kubectl([
      "get",
      "pvr",
      "-n",
      namespace,
      POLICY,
      "--no-headers",
      "--ignore-not-found",
    ]);
    const cells = text.trim().split(/ {2,}/);
    return [cells[1], cells[2], cells[5]].join(" ");
  }

  function shows(what: string, namespace = "shop"): Promise<boolean> {
    return eventually(`${namespace} shows ${what}`, async () => (await columns(namespace)) === what);
  }

  async function status(name: string, namespace = "shop"): Promise<AcceptanceStatus> {
    const text = await cluster.kubectl(["get", "av", "-n", namespace, name, "-o", "json"]);
    return (JSON.parse(text) as { status?: AcceptanceStatus }).status ?? {};
  }

  function says(name: string, condition: string, namespace = "shop"): Promise<string> {
    return eventually(`${name} says ${condition}`, async () =>
      (await status(name, namespace)).conditions
        ?.map(({ type, status: is, message }) => `${type}=${is} ${message}`)
        .find((said) => said.startsWith(condition)),
    );
  }

  async function eventCount(namespace: string): Promise<number> {
    const text = await cluster.kubectl(["get", "events.events.k8s.io", "-n", namespace, "-o", "json"]);
    return (JSON.parse(text) as { items: unknown[] }).items.length;
  }

  test("takes what matches out of the columns and the Events, and leaves it counted", async () => {
    for (const NamespaceName of ["shop", "bank"]) {
      bed.node.push([
        wire({ NamespaceName }),
        wire({ NamespaceName, Operation: "File", Resource: "/etc/shadow" }),
      ]);
    }
    await shows("2 0 medium");
    await shows("2 0 medium", "bank");
    await eventually("Events", async () => (await eventCount("shop")) === 2);

    const match = { policy: POLICY, operation: "Process", resource: "/usr/bin/ap?" };
    await cluster.apply(acceptance("vendor-apt", { match, reason: "the vendor's updater", owner: "web" }));
    await shows("1 0 medium");
    // No team accepts for another namespace.
    expect(await columns("bank")).toBe("2 0 medium");
    const found = await report(cluster, "shop", POLICY);
    expect(found?.summary).toMatchObject({
      occurrences: 2,
      prevented: 2,
      violations: 2,
      severity: "medium",
      accepted: { violations: 1, occurrences: 1 },
      open: { occurrences: 1, prevented: 1, allowed: 0, unknown: 0, violations: 1, severity: "medium" },
    });
    expect(found?.violations.map(({ resource, accepted }) => [resource, accepted])).toEqual(
      expect.arrayContaining([
        ["/usr/bin/apt", { by: "vendor-apt" }],
        ["/etc/shadow", undefined],
      ]),
    );
    expect(await says("vendor-apt", "Active=True")).toBe("Active=True In effect until it is deleted.");
    expect((await status("vendor-apt")).matched).toEqual({ violations: 1, occurrences: 1 });

    // Of two at once, from another pod, only the one that is open raises an Event.
    bed.node.push([
      wire({ PodName: "web-2" }),
      wire({ PodName: "web-2", Operation: "File", Resource: "/etc/shadow" }),
    ]);
    await shows("2 0 medium");
    expect((await report(cluster, "shop", POLICY))?.summary).toMatchObject({ occurrences: 4, prevented: 4 });
    await eventually("the open one's Event", async () => (await eventCount("shop")) >= 3);
    expect(await eventCount("shop")).toBe(3);

    const wide = await cluster.kubectl(["get", "pvr", "-n", "shop", "-o", "wide"]);
    expect(wide).toContain("ACCEPTED");
  });

  test("of everything leaves none open, and says that it is everything", async () => {
    await cluster.apply(acceptance("all", { match: { policy: POLICY }, reason: "a lab" }));
    await shows("0 0 accepted");
    expect(await says("all", "MatchesEverything=True")).toContain("Nothing but the policy narrows it");
    await cluster.kubectl(["delete", "av", "-n", "shop", "all"]);
    await shows("2 0 medium");
  });

  test("that is not valid has no effect and says why; one that matches nothing says so", async () => {
    const spec = (match: object) => ({ match: { policy: POLICY, ...match }, reason: "x" });
    await expect(cluster.apply(acceptance("no-glob", spec({ resource: "/usr/bin/[" })))).rejects.toThrow(
      "wildcards are *, ** and ?",
    );
    await cluster.apply(acceptance("long-glob", spec({ resource: `/${"*a".repeat(40)}` })));
    expect(await says("long-glob", "Invalid=True")).toContain("a glob has at most 64 characters");
    await cluster.apply(acceptance("no-key", spec({ resorce: "/usr/bin/apt" })));
    expect(await says("no-key", "Invalid=True")).toContain(
      "spec.match: unknown key resorce, expected one of",
    );
    await cluster.apply(acceptance("nothing", spec({ resource: "/no/such" })));
    await says("nothing", "MatchesNothing=True");
    expect(await columns()).toBe("2 0 medium");
    await expect(cluster.apply(acceptance("no-reason", { match: { policy: POLICY } }))).rejects.toThrow(
      "spec.reason",
    );
  });

  test("ends by itself at its expiry, without another alert", async () => {
    const expires = new Date(Date.now() + 8_000).toISOString();
    await cluster.apply(
      acceptance("a-while", { match: { policy: POLICY }, reason: "until the fix", expires }),
    );
    await shows("0 0 accepted");
    await shows("2 0 medium");
    await says("a-while", "Expired=True");
    expect((await status("a-while")).matched).toEqual({ violations: 0, occurrences: 0 });
  });

  test("that is deleted, or narrowed, gives back what it took, also while no operator runs", async () => {
    const narrowed = { policy: POLICY, resource: "/usr/bin/zypper" };
    await cluster.apply(acceptance("vendor-apt", { match: narrowed, reason: "the vendor's updater" }));
    await shows("4 0 medium");
    await cluster.apply(acceptance("again", { match: { policy: POLICY }, reason: "a lab" }));
    await shows("0 0 accepted");
    expect(await bed.operator.stop()).toBe(0);
    await cluster.kubectl(["delete", "av", "-n", "shop", "--all"]);
    expect(await columns()).toBe("0 0 accepted");
    await bed.start();
    await shows("4 0 medium");
  });
});
