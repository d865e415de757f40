// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The gate in the cluster as docs/gitops.md shows it: its objects are taken as they are written, and the Job's command is
// run by hand, with the rights of the Job's account; only the time that it waits for traffic is left out.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { type RunResult, run } from "../../tools/cluster/process.ts";
import { renderManifest } from "../../tools/sample-objects.ts";
import { renderAcceptance } from "../support/acceptances.ts";
import { readDocumentedObjects, type ShownObject } from "../support/documented-manifests.ts";
import { eventually } from "../support/eventually.ts";
import { wireAlert } from "../support/gen.ts";
import { LEADING, useNode, usePlugin } from "../support/operator-bed.ts";
import { describeReal, useCluster } from "../support/real-parts.ts";

const SHOWN = readDocumentedObjects("gitops.md").filter(({ apiVersion }) => !/argoproj|fluxcd/.test(apiVersion));
const JOBS = SHOWN.filter(({ kind }) => kind === "Job");

test("the document shows a Job for Argo CD and one for Flux", () => {
  const hooks = JOBS.map(({ metadata }) => metadata.annotations?.["argocd.argoproj.io/hook"]);
  expect(hooks).toEqual(["PostSync", undefined]);
});

describeReal("the gate as a Job", () => {
  const cluster = useCluster({ crds: true, namespaces: ["kubearmor"] });
  const bed = useNode(cluster);
  const plugin = usePlugin();
  let kubeconfig: string;

  /** Just now: the gate looks at the last three minutes, and a slow machine may need them. */
  function pushViolation(): void {
    bed.node.push([wireAlert({ UpdatedTime: new Date().toISOString() })]);
  }

  const apply = (object: object, ...more: string[]) =>
    cluster.kubectl(["apply", "--validate=strict", ...more, "-f", "-"], { input: JSON.stringify(object) });

  beforeAll(async () => {
    writeFileSync(join(plugin.dir, "bin/sleep"), "#!/bin/sh\n", { mode: 0o755 });
    const pods = [{ namespace: "shop", name: "web-1" }];
    await cluster.apply(renderManifest({ namespaces: ["shop"], pods, nodes: ["node-1"] }));
    await cluster.kubectl(["label", "namespace", "shop", "pod-security.kubernetes.io/enforce=restricted"]);
    await bed.start(LEADING);
    pushViolation();
    for (const object of SHOWN) if (object.kind !== "Job") await apply(object);
    const token = await cluster.createServiceAccountToken("shop", "violations-gate");
    kubeconfig = cluster.kubeconfigFor(token);
    // A pod's own namespace is that of its account.
    await cluster.kubectl(["config", "set-context", "test", "--namespace=shop", `--kubeconfig=${kubeconfig}`]);
    await eventually("a report", async () =>
      (await cluster.kubectl(["get", "pvr", "-n", "shop", "-o", "name"])).includes("no-package-managers"),
    );
  });

  /** Runs the command of the Job's container until it ends with `code`; gives what it printed. */
  function runGateUntil(code: number, { spec }: ShownObject): Promise<RunResult> {
    const [{ command }] = spec.template.spec.containers as [{ command: string[] }];
    const env = { ...plugin.env, KUBECONFIG: kubeconfig };
    return eventually(`the gate ends with ${code}`, async () => {
      pushViolation();
      const result = await run(command[0] ?? "", command.slice(1), { env });
      return result.code === code && result;
    });
  }

  test.each(JOBS)("is taken strictly by the API server, in a namespace that is restricted (%#)", async (job) => {
    expect(await apply(job, "--dry-run=server")).toContain(`job.batch/${job.metadata.name} created`);
  });

  test.each(JOBS)("fails while the violation is not accepted (%#)", async (job) => {
    const { stdout, stderr } = await runGateUntil(1, job);
    expect(stderr).toBe("");
    expect(stdout).toContain("FAILED: 1 open violation.");
  });

  test("passes once it is accepted, and fails when the acceptance is deleted", async () => {
    const [job] = JOBS;
    if (job === undefined) throw new Error("no Job");
    const spec = { match: { policy: "no-package-managers" }, reason: "the vendor's updater", owner: "team-web" };
    await cluster.apply(renderAcceptance("vendor-apt", spec));
    const { stdout } = await runGateUntil(0, job);
    expect(stdout).toContain("Passed over: 1 accepted.");
    await cluster.kubectl(["delete", "av", "-n", "shop", "vendor-apt"]);
    await runGateUntil(1, job);
  });

  test("has all rights that it needs", () => {
    const user = "system:serviceaccount:shop:violations-gate";
    const refused = cluster
      .auditEntries()
      .filter((entry) => entry.user.username === user && entry.responseStatus?.code === 403)
      .map(({ verb, objectRef }) => `${verb} ${objectRef?.namespace}/${objectRef?.resource}`);
    expect([...new Set(refused)]).toEqual([]);
  });
});
