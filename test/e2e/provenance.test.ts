// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Reports of a running operator name their policy object, and follow its changes.

import { beforeAll, expect, test } from "vitest";
import type { Policy } from "../../src/api/v1alpha1.ts";
import { eventually } from "../support/eventually.ts";
import { wireAlert } from "../support/gen.ts";
import { useNode } from "../support/operator-bed.ts";
import { installPolicyCrds, policy } from "../support/policies.ts";
import { describeReal, useCluster } from "../support/real-parts.ts";
import { report } from "../support/reports.ts";
import { CLUSTER_CRD, NAMESPACED_CRD } from "../unit/api/crd.ts";

const NAME = "no-package-managers";

describeReal("provenance", () => {
  const cluster = useCluster({ controllerManager: false });
  const bed = useNode(cluster);

  beforeAll(async () => {
    await cluster.kubectl(["apply", "--server-side", "-f", NAMESPACED_CRD, "-f", CLUSTER_CRD]);
    await installPolicyCrds(cluster);
    await cluster.kubectl(["create", "namespace", "shop"]);
  });

  const start = () => bed.start({ env: { PVO_REPORTS_MIN_INTERVAL_MS: "200", PVO_EVENTS_ENABLED: "false" } });

  /** The policy in the report, once it is as it should be. */
  function waitForPolicy(what: string, isIt: (policy: Policy) => boolean): Promise<Policy> {
    return eventually(what, async () => {
      const found = (await report(cluster, "shop", NAME))?.policy;
      return found && isIt(found) ? found : undefined;
    });
  }

  test("from the first write on, through changes, a second object of the name, and a restart", async () => {
    const mark = { "argocd.argoproj.io/tracking-id": `web:security.kubearmor.com/KubeArmorPolicy:shop/${NAME}` };
    const own = (message: string) => policy("KubeArmorPolicy", NAME, { namespace: "shop", annotations: mark }, message);
    await cluster.apply(own("first"));
    const first = await start();
    bed.node.push([wireAlert({ UpdatedTime: new Date(Date.now() + 60_000).toISOString() })]);
    const found = await waitForPolicy("the object", ({ provenance }) => provenance === "Found");
    expect(found).toMatchObject({
      kind: "KubeArmorPolicy",
      objects: [
        {
          kind: "KubeArmorPolicy",
          namespace: "shop",
          generation: 1,
          source: { tool: "ArgoCD", kind: "Application", name: "web" },
        },
      ],
    });
    expect(found).not.toHaveProperty("changedSinceLastSeen");

    await cluster.apply(own("second"));
    await waitForPolicy("the second generation", ({ objects }) => objects?.[0]?.generation === 2);
    await cluster.apply(policy("KubeArmorClusterPolicy", NAME));
    const two = await waitForPolicy("both", ({ provenance }) => provenance === "Ambiguous");
    expect(two.kind).toBe("KubeArmorPolicy");
    expect(two.objects?.map(({ kind }) => kind)).toEqual(["KubeArmorPolicy", "KubeArmorClusterPolicy"]);

    await cluster.kubectl(["delete", "ksp", "-n", "shop", NAME]);
    const wide = await waitForPolicy("the cluster's own", ({ kind }) => kind === "KubeArmorClusterPolicy");
    expect(wide.provenance).toBe("Found");

    // It also goes without a watch.
    expect(await first.stop()).toBe(0);
    await cluster.kubectl(["delete", "csp", NAME]);
    await start();
    const none = await waitForPolicy("nothing", ({ provenance }) => provenance === "NotFound");
    expect(none).not.toHaveProperty("objects");
    expect(none.kind).toBe("KubeArmorPolicy");
  });

  test("a policy that was changed after the newest occurrence says so until there is a newer one", async () => {
    bed.node.push([wireAlert({ UpdatedTime: "2020-01-01T00:00:00Z", PolicyName: "old-deed" })]);
    await cluster.apply(policy("KubeArmorPolicy", "old-deed", { namespace: "shop" }));
    const changed = async (isIt: boolean) =>
      await eventually(`changed: ${isIt}`, async () => {
        const found = (await report(cluster, "shop", "old-deed"))?.policy;
        return found?.provenance === "Found" && (found.changedSinceLastSeen ?? false) === isIt;
      });
    await changed(true);
    bed.node.push([
      wireAlert({ UpdatedTime: new Date(Date.now() + 60_000).toISOString(), PolicyName: "old-deed", HostPID: 7 }),
    ]);
    await changed(false);
  });
});
