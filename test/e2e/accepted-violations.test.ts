// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Accepting violations as a team does it: kubectl apply, and then what kubectl get and the Events say.

import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import type { AcceptanceStatus } from "../../src/api/acceptance.ts";
import type { Alert } from "../../src/api/alert.ts";
import type { WireAlert } from "../../tools/kubearmor-node/alerts.ts";
import { renderManifest } from "../../tools/sample-objects.ts";
import { renderAcceptance } from "../support/acceptances.ts";
import { eventually } from "../support/eventually.ts";
import { wireAlert } from "../support/gen.ts";
import { useNode } from "../support/operator-bed.ts";
import { describeReal, useCluster } from "../support/real-parts.ts";
import { report } from "../support/reports.ts";

const CRDS = join(import.meta.dirname, "../../crds");
const POLICY = "no-package-managers";

let pid = 1;

/** An alert that is not a duplicate of another one. */
function createWireAlert(mods: Partial<Alert>): WireAlert {
  return wireAlert({ UpdatedTime: new Date().toISOString(), HostPID: pid++ }, mods);
}

describeReal("accepting", () => {
  const cluster = useCluster({ controllerManager: false });
  const bed = useNode(cluster);

  beforeAll(async () => {
    await cluster.kubectl(["apply", "--server-side", "-f", CRDS]);
    await cluster.kubectl(["wait", "--for=condition=Established", "--timeout=60s", "crd", "--all"]);
    const pods = ["shop", "bank"].flatMap((namespace) => ["web-1", "web-2"].map((name) => ({ namespace, name })));
    await cluster.apply(renderManifest({ namespaces: ["shop", "bank"], pods, nodes: ["node-1"] }));
    await bed.start({ env: { PVO_REPORTS_MIN_INTERVAL_MS: "200" } });
  });

  /** Prevented, allowed and severity as `kubectl get pvr` shows them. */
  async function readColumns(namespace = "shop"): Promise<string> {
    const text = await cluster.kubectl(["get", "pvr", "-n", namespace, POLICY, "--no-headers", "--ignore-not-found"]);
    const cells = text.trim().split(/ {2,}/);
    return [cells[1], cells[2], cells[5]].join(" ");
  }

  function waitForColumns(what: string, namespace = "shop"): Promise<boolean> {
    return eventually(`${namespace} shows ${what}`, async () => (await readColumns(namespace)) === what);
  }

  async function readStatus(name: string, namespace = "shop"): Promise<AcceptanceStatus> {
    const text = await cluster.kubectl(["get", "av", "-n", namespace, name, "-o", "json"]);
    return (JSON.parse(text) as { status?: AcceptanceStatus }).status ?? {};
  }

  function waitForCondition(name: string, condition: string, namespace = "shop"): Promise<string> {
    return eventually(`${name} says ${condition}`, async () =>
      (await readStatus(name, namespace)).conditions
        ?.map(({ type, status: is, message }) => `${type}=${is} ${message}`)
        .find((said) => said.startsWith(condition)),
    );
  }

  async function countEvents(namespace: string): Promise<number> {
    const text = await cluster.kubectl(["get", "events.events.k8s.io", "-n", namespace, "-o", "json"]);
    return (JSON.parse(text) as { items: unknown[] }).items.length;
  }

  test("takes what matches out of the columns and the Events, and leaves it counted", async () => {
    for (const NamespaceName of ["shop", "bank"]) {
      bed.node.push([
        createWireAlert({ NamespaceName }),
        createWireAlert({ NamespaceName, Operation: "File", Resource: "/etc/shadow" }),
      ]);
    }
    await waitForColumns("2 0 medium");
    await waitForColumns("2 0 medium", "bank");
    await eventually("Events", async () => (await countEvents("shop")) === 2);

    const match = { policy: POLICY, operation: "Process", resource: "/usr/bin/ap?" };
    await cluster.apply(renderAcceptance("vendor-apt", { match, reason: "the vendor's updater", owner: "web" }));
    await waitForColumns("1 0 medium");
    // No team accepts for another namespace.
    expect(await readColumns("bank")).toBe("2 0 medium");
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
    expect(await waitForCondition("vendor-apt", "Active=True")).toBe("Active=True In effect until it is deleted.");
    expect((await readStatus("vendor-apt")).matched).toEqual({ violations: 1, occurrences: 1 });

    // Of two at once, from another pod, only the one that is open raises an Event.
    bed.node.push([
      createWireAlert({ PodName: "web-2" }),
      createWireAlert({ PodName: "web-2", Operation: "File", Resource: "/etc/shadow" }),
    ]);
    await waitForColumns("2 0 medium");
    expect((await report(cluster, "shop", POLICY))?.summary).toMatchObject({ occurrences: 4, prevented: 4 });
    await eventually("the open one's Event", async () => (await countEvents("shop")) >= 3);
    expect(await countEvents("shop")).toBe(3);

    const wide = await cluster.kubectl(["get", "pvr", "-n", "shop", "-o", "wide"]);
    expect(wide).toContain("ACCEPTED");
  });

  test("of everything leaves none open, and says that it is everything", async () => {
    await cluster.apply(renderAcceptance("all", { match: { policy: POLICY }, reason: "a lab" }));
    await waitForColumns("0 0 accepted");
    expect(await waitForCondition("all", "MatchesEverything=True")).toContain("Only the policy is matched");
    await cluster.kubectl(["delete", "av", "-n", "shop", "all"]);
    await waitForColumns("2 0 medium");
  });

  test("that is not valid has no effect and says why; one that matches nothing says so", async () => {
    const spec = (match: object) => ({ match: { policy: POLICY, ...match }, reason: "x" });
    await expect(cluster.apply(renderAcceptance("no-glob", spec({ resource: "/usr/bin/[" })))).rejects.toThrow(
      "wildcards are *, ** and ?",
    );
    await cluster.apply(renderAcceptance("long-glob", spec({ resource: `/${"*a".repeat(40)}` })));
    expect(await waitForCondition("long-glob", "Invalid=True")).toContain("a glob has at most 64 characters");
    await cluster.apply(renderAcceptance("no-key", spec({ resorce: "/usr/bin/apt" })));
    expect(await waitForCondition("no-key", "Invalid=True")).toContain(
      "spec.match: unknown key resorce, expected one of",
    );
    await cluster.apply(renderAcceptance("nothing", spec({ resource: "/no/such" })));
    await waitForCondition("nothing", "MatchesNothing=True");
    expect(await readColumns()).toBe("2 0 medium");
    await expect(cluster.apply(renderAcceptance("no-reason", { match: { policy: POLICY } }))).rejects.toThrow(
      "spec.reason",
    );
  });

  test("ends by itself at its expiry, without another alert", async () => {
    const expires = new Date(Date.now() + 8_000).toISOString();
    await cluster.apply(renderAcceptance("a-while", { match: { policy: POLICY }, reason: "until the fix", expires }));
    await waitForColumns("0 0 accepted");
    await waitForColumns("2 0 medium");
    await waitForCondition("a-while", "Expired=True");
    expect((await readStatus("a-while")).matched).toEqual({ violations: 0, occurrences: 0 });
  });

  test("that is deleted, or narrowed, gives back what it took, also while no operator runs", async () => {
    const narrowed = { policy: POLICY, resource: "/usr/bin/zypper" };
    await cluster.apply(renderAcceptance("vendor-apt", { match: narrowed, reason: "the vendor's updater" }));
    await waitForColumns("4 0 medium");
    await cluster.apply(renderAcceptance("again", { match: { policy: POLICY }, reason: "a lab" }));
    await waitForColumns("0 0 accepted");
    expect(await bed.operator.stop()).toBe(0);
    await cluster.kubectl(["delete", "av", "-n", "shop", "--all"]);
    expect(await readColumns()).toBe("0 0 accepted");
    await bed.start();
    await waitForColumns("4 0 medium");
  });
});
