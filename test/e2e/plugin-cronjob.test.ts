// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The chart's CronJob: its command is run as it is written, with its account's own rights, against a real Git repository.

import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { buildPlugin } from "../../plugin/build.ts";
import { SAMPLE_REPORTS_DIR } from "../../plugin/test/session.ts";
import { type Cluster, startCluster } from "../../tools/cluster/cluster.ts";
import { type RunResult, run } from "../../tools/cluster/process.ts";
import { eventually } from "../support/eventually.ts";
import { createFolder } from "../support/folder.ts";
import { describeReal } from "../support/real-parts.ts";

const CHART = join(import.meta.dirname, "../../charts/policy-violation-operator");
const NAMESPACE = "kubearmor";
const NAME = "pvo-policy-violation-operator-git-export";

describeReal("the chart's CronJob", () => {
  let cluster: Cluster;
  let dir: string;
  let repository: string;

  beforeAll(async () => {
    dir = createFolder();
    repository = join(dir, "audit.git");
    execFileSync("git", ["init", "--quiet", "--bare", "--initial-branch=main", repository]);
    [cluster] = await Promise.all([startCluster(), buildPlugin(join(dir, "bin"), { isGitOps: true })]);
    await cluster.kubectl(["create", "namespace", NAMESPACE]);
    await cluster.kubectl(["label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted"]);
    const set = ["--set", `gitExport.enabled=true,gitExport.repository=${repository},gitExport.summary=false`];
    await cluster.helm(["install", "pvo", CHART, "--namespace", NAMESPACE, ...set]);
    for (const namespace of readdirSync(SAMPLE_REPORTS_DIR)) {
      if (namespace !== "_cluster" && namespace !== "default")
        await cluster.kubectl(["create", "namespace", namespace]);
    }
    await eventually("the CRDs are served", async () =>
      (await cluster.request("GET", "/apis/reports.kubearmor.com/v1alpha1/clusterpolicyviolationreports")).status ===
        200 &&
      (await cluster.request("GET", "/apis/reports.kubearmor.com/v1alpha1/policyviolationreports")).status === 200
        ? true
        : undefined,
    );
    await cluster.kubectl(["create", "-R", "-f", SAMPLE_REPORTS_DIR]);
  });

  afterAll(async () => {
    await cluster?.stop();
  });

  /** Runs the container's command with the rights of its account. */
  async function runJob(): Promise<RunResult> {
    const { spec } = JSON.parse(await cluster.kubectl(["get", "cronjob", NAME, "-n", NAMESPACE, "-o", "json"]));
    const pod = spec.jobTemplate.spec.template.spec;
    const [container] = pod.containers;
    const [program, ...more] = container.command as string[];
    const token = await cluster.createServiceAccountToken(NAMESPACE, pod.serviceAccountName);
    return await run(join(dir, "bin", program ?? ""), [...more, ...container.args], {
      env: { KUBECONFIG: cluster.kubeconfigFor(token), HOME: dir },
    });
  }

  test("commits the state, and nothing when nothing changed", async () => {
    const first = await runJob();
    expect({ code: first.code, stderr: first.stderr }).toEqual({ code: 0, stderr: "" });
    expect(first.stdout).toMatch(/^main: 23 new, 0 changed, 0 gone, 0 unchanged, commit /);
    const clone = join(dir, "clone");
    execFileSync("git", ["clone", "--quiet", repository, clone]);
    expect(execFileSync("diff", ["-r", SAMPLE_REPORTS_DIR, join(clone, "violations")], { encoding: "utf8" })).toBe("");
    expect((await runJob()).stdout).toBe("main: nothing changed, 23 reports.\n");
  });

  test("commits what changed, and what is gone", async () => {
    await cluster.kubectl(["delete", "pvr", "-n", "my-ext-secret", "nginx-secret"]);
    expect((await runJob()).stdout).toMatch(/^main: 0 new, 0 changed, 1 gone, 22 unchanged, commit /);
    const log = execFileSync("git", ["log", "-1", "--format=%B", "main"], { cwd: repository, encoding: "utf8" });
    expect(log.trim()).toBe(
      "Violations: 0 new, 0 changed, 1 gone, 22 unchanged\n\n" +
        "gone    violations/my-ext-secret/policyviolationreports/nginx-secret.yaml",
    );
  });

  test("uses exactly the rights that it has", async () => {
    const user = `system:serviceaccount:${NAMESPACE}:${NAME}`;
    const entries = cluster.auditEntries().filter((entry) => entry.user.username === user);
    expect(entries.filter((entry) => entry.responseStatus?.code === 403)).toEqual([]);
    const used = new Set(entries.map(({ verb, objectRef }) => `${verb} ${objectRef?.resource}`));
    const role = JSON.parse(await cluster.kubectl(["get", "clusterrole", `${NAMESPACE}-${NAME}`, "-o", "json"])) as {
      rules: { verbs: string[]; resources: string[] }[];
    };
    const granted = role.rules.flatMap(({ verbs, resources }) =>
      verbs.flatMap((verb) => resources.map((resource) => `${verb} ${resource}`)),
    );
    // Every user may read the operator's Lease (rbac.heartbeat).
    expect([...used].sort()).toEqual([...granted, "get leases"].sort());
  });

  test("makes a pod that `restricted` admits and that nothing of the operator selects", async () => {
    await cluster.kubectl(["create", "job", "now", `--from=cronjob/${NAME}`, "-n", NAMESPACE]);
    const pod = await eventually("the job's pod", async () => {
      const { items } = JSON.parse(
        await cluster.kubectl(["get", "pods", "-n", NAMESPACE, "-l", "job-name=now", "-o", "json"]),
      ) as { items: { metadata: { labels: Record<string, string> } }[] };
      return items[0];
    });
    const service = JSON.parse(await cluster.kubectl(["get", "service", "-n", NAMESPACE, "-o", "json"])) as {
      items: { spec: { selector: Record<string, string> } }[];
    };
    const selects = service.items.map(({ spec }) =>
      Object.entries(spec.selector).every(([key, value]) => pod.metadata.labels[key] === value),
    );
    expect(selects).toEqual([false]);
  });

  test("is not there unless asked for, and asks for its repository", async () => {
    const off = await cluster.helm(["template", "pvo", CHART]);
    expect(off).not.toContain("git-export");
    await expect(cluster.helm(["template", "pvo", CHART, "--set", "gitExport.enabled=true"])).rejects.toThrow(
      "gitExport.repository is needed when gitExport.enabled is true",
    );
  });
});
