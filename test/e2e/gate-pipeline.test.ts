// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A rollout that the gate stops, and that goes on once the violation is accepted in Git: a pipeline as a shell script,
// a real Git server, the real kubectl with the plugin in its PATH, and the operator.

import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { type RunResult, run } from "../../tools/cluster/process.ts";
import { renderManifest } from "../../tools/sample-objects.ts";
import { renderAcceptance } from "../support/acceptances.ts";
import { eventually } from "../support/eventually.ts";
import { wireAlert } from "../support/gen.ts";
import { LEADING, useNode, usePlugin } from "../support/operator-bed.ts";
import { describeReal, useCluster } from "../support/real-parts.ts";

/** A team's repository: its acceptances are applied before the gate runs. */
const PIPELINE = `#!/bin/sh
set -eu
work=$(mktemp -d "$TMPDIR/clone-XXXXXX")
git clone --quiet "$REPOSITORY" "$work"
kubectl apply --namespace shop --filename "$work/accepted/" --prune --all --prune-allowlist reports.kubearmor.com/v1alpha1/AcceptedViolation >/dev/null
kubectl violations gate --namespace shop --all --severity medium --require-coverage --wait 20s
kubectl apply --namespace shop --filename "$work/rollout.yaml"
`;

const ROLLOUT = `apiVersion: v1
kind: ConfigMap
metadata: {name: rollout}
data: {version: "2"}
`;

function createAcceptance(spec: object, name = "vendor-apt"): string {
  return renderAcceptance(name, { reason: "the vendor's updater tries once a day", owner: "team-web", ...spec });
}

describeReal("a pipeline with a gate", () => {
  const cluster = useCluster({ crds: true, namespaces: ["kubearmor"] });
  const bed = useNode(cluster);
  const plugin = usePlugin();
  let checkout: string;
  let repository: string;

  beforeAll(async () => {
    repository = join(plugin.dir, "shop.git");
    checkout = join(plugin.dir, "shop");
    execFileSync("git", ["init", "--quiet", "--bare", "--initial-branch=main", repository]);
    await cluster.apply(
      renderManifest({ namespaces: ["shop"], pods: [{ namespace: "shop", name: "web-1" }], nodes: ["node-1"] }),
    );
    await bed.start(LEADING);
    const apt = { UpdatedTime: new Date().toISOString(), Resource: "/usr/bin/apt-get update" };
    bed.node.push([wireAlert({ PodName: "web-1" }, apt)]);
    await eventually("a report", async () =>
      (await cluster.kubectl(["get", "pvr", "-n", "shop", "-o", "name"])).includes("no-package-managers"),
    );
    execFileSync("git", ["clone", "--quiet", repository, checkout], { stdio: "ignore" });
    mkdirSync(join(checkout, "accepted"));
    writeFileSync(join(checkout, "rollout.yaml"), ROLLOUT);
    writeFileSync(join(checkout, "pipeline.sh"), PIPELINE, { mode: 0o755 });
    const other = { match: { policy: "another-policy" } };
    commit("accepted/other.yaml", createAcceptance(other, "other"));
  });

  /** Commits one file, and pushes. */
  function commit(path: string, text: string): void {
    writeFileSync(join(checkout, path), text);
    const git = (...args: string[]) =>
      execFileSync("git", ["-c", "user.name=web", "-c", "user.email=web@example.org", ...args], {
        cwd: checkout,
        stdio: "ignore",
      });
    git("add", "--all");
    git("commit", "--quiet", "--message", `Change ${path}`);
    git("push", "--quiet", "origin", "HEAD:main");
  }

  function runPipeline(): Promise<RunResult> {
    return run(join(checkout, "pipeline.sh"), [], {
      timeoutMs: 120_000,
      env: { ...plugin.env, TMPDIR: plugin.dir, KUBECONFIG: cluster.kubeconfigPath, REPOSITORY: repository },
    });
  }

  const isRolledOut = async () =>
    (await cluster.kubectl(["get", "cm", "-n", "shop", "-o", "name"])).includes("configmap/rollout");

  /** The sentence of the acceptance's status on a condition that is true. */
  const says = (condition: string) =>
    eventually(`vendor-apt says ${condition}`, async () => {
      const text = await cluster.kubectl(["get", "av", "-n", "shop", "vendor-apt", "-o", "json"]);
      const { status } = JSON.parse(text) as {
        status?: { conditions?: { type: string; status: string; message: string }[] };
      };
      return status?.conditions?.find(({ type, status: is }) => type === condition && is === "True")?.message;
    });

  async function expectStopped(): Promise<void> {
    const { code, stdout } = await runPipeline();
    expect({ code, head: stdout.split("\n")[0] }).toEqual({ code: 1, head: "FAILED: 1 open violation." });
    expect(await isRolledOut()).toBe(false);
  }

  test("stops the rollout", async () => {
    await expectStopped();
  });

  test("stops it for an acceptance that has expired, and the status says since when", async () => {
    const match = { policy: "no-package-managers", resource: "/usr/bin/apt*" };
    commit("accepted/vendor-apt.yaml", createAcceptance({ match, expires: "2026-01-31T00:00:00Z" }));
    await expectStopped();
    expect(await says("Expired")).toBe("Since 2026-01-31T00:00:00.000000Z.");
  });

  test("stops it for a glob that is too long, and the status says why", async () => {
    const match = { policy: "no-package-managers", resource: `/usr/bin/${"*a".repeat(40)}` };
    commit("accepted/vendor-apt.yaml", createAcceptance({ match }));
    await expectStopped();
    expect(await says("Invalid")).toContain(
      "spec.match.resource: from its first wildcard to its last a glob has at most 64 characters",
    );
  });

  test("lets it pass once the violation is accepted in Git", async () => {
    const match = { policy: "no-package-managers", resource: "/usr/bin/apt*" };
    commit("accepted/vendor-apt.yaml", createAcceptance({ match, expires: "2126-01-31T00:00:00Z" }));
    const { code, stdout, stderr } = await runPipeline();
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/^PASSED: no open violation among those looked at\.\n/);
    expect(stdout).toContain("Passed over: 1 accepted.");
    expect(await isRolledOut()).toBe(true);
  });

  test("stops the next one when the operator is not running", async () => {
    await cluster.kubectl(["delete", "cm", "-n", "shop", "rollout"]);
    expect(await bed.operator.stop()).toBe(0);
    const spec = { renewTime: "2026-01-31T00:00:00.000000Z", leaseDurationSeconds: 15 };
    const [lease = ""] = (await cluster.kubectl(["get", "lease", "-n", "kubearmor", "-o", "name"])).split("\n");
    await cluster.kubectl(["patch", "-n", "kubearmor", lease, "--type=merge", "-p", JSON.stringify({ spec })]);
    const { code, stdout } = await runPipeline();
    expect(code).toBe(3);
    expect(stdout).toMatch(/^UNKNOWN: /);
    expect(stdout).toContain(`the operator has not renewed its Lease kubearmor/${lease.split("/")[1]} for `);
    expect(await isRolledOut()).toBe(false);
  });
});
