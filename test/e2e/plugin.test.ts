// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The plugin as users have it: built, found by the real kubectl in the PATH, on a real API server with real rights.

import { readdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { SAMPLE_REPORTS_DIR } from "../../plugin/test/session.ts";
import { type RunResult, run } from "../../tools/cluster/process.ts";
import { usePlugin } from "../support/operator-bed.ts";
import { describeReal, useCluster } from "../support/real-parts.ts";

/** The operator's Lease, renewed at a time. */
function createLease(namespace: string, renewed: Date): string {
  return JSON.stringify({
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: { name: "policy-violation-operator", namespace },
    spec: {
      holderIdentity: "operator-0",
      leaseDurationSeconds: 15,
      renewTime: renewed.toISOString().replace("Z", "000Z"),
    },
  });
}

describeReal("the plugin under the real kubectl", () => {
  const cluster = useCluster();
  const plugin = usePlugin();

  /** `kubectl <args>` with the plugin in the PATH and a person's own kubeconfig. */
  function runAsUser(args: readonly string[], kubeconfig = cluster.kubeconfigPath): Promise<RunResult> {
    return plugin.kubectl(args, kubeconfig);
  }

  test("starts through a link to it", async () => {
    const link = join(plugin.dir, "link");
    symlinkSync(join(plugin.dir, "bin/kubectl-violations"), link);
    const { stdout } = await run(link, ["--version"]);
    expect(stdout).toBe("kubectl-violations 0.1.0\n");
  });

  test("starts wherever a home is, and where it can't be written to", async () => {
    const none = { HOME: undefined, XDG_CACHE_HOME: undefined, NODE_COMPILE_CACHE: undefined };
    for (const env of [{}, { HOME: "" }, { HOME: "/proc" }, { HOME: "/dev/null" }, { XDG_CACHE_HOME: plugin.dir }]) {
      const started = await run(join(plugin.dir, "bin/kubectl-violations"), ["--version"], {
        env: { ...none, ...env },
      });
      expect(started).toEqual({ code: 0, stdout: "kubectl-violations 0.1.0\n", stderr: "" });
    }
    expect(readdirSync(join(plugin.dir, "kubectl-violations"))).toHaveLength(1);
  });

  test("says that the CRDs are missing, and what to do", async () => {
    const { code, stderr } = await runAsUser(["violations", "-A"]);
    expect(code).toBe(3);
    expect(stderr).toContain("this cluster has no policyviolationreports.reports.kubearmor.com: the operator's CRDs");
  });

  describe("with the reports of the samples", () => {
    beforeAll(async () => {
      await cluster.applyCrds();
      for (const namespace of readdirSync(SAMPLE_REPORTS_DIR)) {
        if (namespace !== "_cluster" && namespace !== "default") {
          await cluster.kubectl(["create", "namespace", namespace]);
        }
      }
      await cluster.kubectl(["create", "namespace", "kubearmor"]);
      await cluster.kubectl(["create", "-R", "-f", SAMPLE_REPORTS_DIR]);
    });

    test("kubectl finds it as a plugin", async () => {
      const { stdout } = await runAsUser(["plugin", "list"]);
      expect(stdout).toContain(join(plugin.dir, "bin/kubectl-violations"));
    });

    test("impersonates a user and groups as kubectl does", async () => {
      await cluster.kubectl(["create", "role", "reader", "-n", "default", "--verb=list", "--resource=pvr"]);
      const binding = ["create", "rolebinding", "reader", "-n", "default", "--role=reader", "--group=auditors"];
      await cluster.kubectl(binding);
      const list = (...flags: string[]) => runAsUser(["violations", "-n", "default", "-o", "name", ...flags]);
      expect(await list("--as", "vera")).toMatchObject({ code: 3, stdout: "" });
      expect(await list("--as=vera", "--as-group", "staff")).toMatchObject({ code: 3 });
      const allowed = await list("--as", "vera", "--as-group", "staff", "--as-group=auditors");
      expect(allowed).toMatchObject({ code: 0, stderr: "" });
      expect(allowed.stdout).not.toBe("");
      expect(await list("--as-group", "auditors")).toMatchObject({
        code: 2,
        stderr: expect.stringContaining("--as-group needs --as"),
      });
    });

    test("lists every violation, page by page", async () => {
      const { code, stdout, stderr } = await runAsUser(["violations", "-A"]);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      expect(stdout.trimEnd().split("\n")).toHaveLength(26);
      expect(stdout.split("\n")[1]).toMatch(/^multiubuntu +critical +Prevented .* deploy\/ubuntu-1-deployment/);
    });

    test("takes the namespace of the context, and another with -n", async () => {
      expect((await runAsUser(["violations"])).stdout.trimEnd().split("\n")).toHaveLength(7);
      expect((await runAsUser(["violations", "-n", "my-ext-secret"])).stdout.trimEnd().split("\n")).toHaveLength(2);
    });

    test("distinguishes an empty namespace from a missing one", async () => {
      const empty = await runAsUser(["violations", "-n", "kube-public"]);
      expect({ ...empty, stderr: empty.stderr.split("\n") }).toEqual({
        code: 0,
        stdout: "",
        // No operator runs here.
        stderr: [
          "No listed violation matches in namespace kube-public.",
          expect.stringContaining("note: it is unknown if the operator is running: there is no Lease"),
          "",
        ],
      });
      const { code, stderr } = await runAsUser(["violations", "-n", "nowhere"]);
      expect(code).toBe(3);
      expect(stderr).toContain('there is no namespace "nowhere"; see `kubectl get namespaces`, or use -A for all.');
    });

    test("explains one by its id and by its report", async () => {
      const ids = ["--policy", "harden-wordpress-pkg-mngr-exec", "-o", "jsonpath={.violations[0].id}"];
      const id = (await runAsUser(["violations", "-n", "wordpress-mysql", ...ids])).stdout;
      const { stdout } = await runAsUser(["violations", "explain", id]);
      expect(stdout).toContain("Prevented: /bin/bash tried to run /usr/bin/apt in container wordpress");
      const first = ["--reason", "x", "--owner", "team", "--expires", "90d", "--apply"];
      const accept = await runAsUser(["violations", "accept", id, ...first]);
      expect(accept).toEqual({
        code: 0,
        stdout: `acceptedviolation wordpress-mysql/accept-${id} created\n`,
        stderr: "",
      });
      const again = await runAsUser(["violations", "accept", id, "--reason", "y", "--apply"]);
      expect(again.stdout).toContain("replaced");
      expect((await runAsUser(["violations", "accepted", "-A"])).stdout).toMatch(/ y$/m);
      const { stdout: list } = await runAsUser(["violations", "accepted", "-A", "-o", "json"]);
      const [{ metadata, spec }] = JSON.parse(list).acceptedViolations;
      expect({ ...spec, match: {} }).toEqual({ match: {}, reason: "y" });
      expect(metadata).not.toHaveProperty("managedFields");
      expect((await runAsUser(["violations", "explain", "cpvr/sleep-deny"])).stdout).toContain("KubeArmorHostPolicy");
    });

    test("exports what it reads twice alike, and sees one new violation as a few lines", async () => {
      const out = join(plugin.dir, "audit");
      expect((await runAsUser(["violations", "export", "-A", "--out", out])).stdout).toContain("23 new");
      expect((await runAsUser(["violations", "export", "-A", "--check", out])).code).toBe(0);
      const path = '[{"op":"replace","path":"/violations/0/occurrences","value":2}]';
      await cluster.kubectl(["patch", "cpvr", "sleep-deny", "--type=json", "-p", path]);
      const { code, stdout } = await runAsUser(["violations", "export", "-A", "--check", out]);
      expect(code).toBe(1);
      expect(stdout.split("\n").filter((line) => /^[-+] /.test(line))).toEqual([
        "-  occurrences: 1",
        "+  occurrences: 2",
      ]);
    });

    test("kubectl completes commands, namespaces and policies of the cluster", async () => {
      const completed = async (...words: string[]) =>
        (await runAsUser(["__complete", "violations", ...words])).stdout.trimEnd().split("\n");
      expect(await completed("rea")).toEqual(["readiness", ":4"]);
      expect(await completed("-n", "wordpress")).toEqual(["wordpress-mysql", ":4"]);
      expect(await completed("-n", "default", "--policy", "block")).toEqual(["block-pkg-mgmt-tools-exec", ":4"]);
      expect(await completed("--context", "")).toEqual(["test", ":4"]);
    });

    test("the gate, readiness, the timeline and the audit work on a cluster", async () => {
      const flags = ["violations", "gate", "-A", "--all", "--severity"];
      const failed = await runAsUser([...flags, "critical"]);
      expect({ code: failed.code, head: failed.stdout.split("\n")[0] }).toEqual({
        code: 1,
        head: "FAILED: 1 open violation.",
      });
      // Without an operator the gate never passes.
      const unknown = await runAsUser([...flags, "critical", "--since", "1h"]);
      expect(unknown.code).toBe(3);
      expect(unknown.stdout).toContain("there is no Lease kubearmor/policy-violation-operator");
      await cluster.apply(createLease("kubearmor", new Date()));
      expect((await runAsUser([...flags, "critical", "--since", "1h"])).code).toBe(0);
      const readiness = async () => {
        const args = ["violations", "readiness", "nginx-secret", "-n", "my-ext-secret"];
        const { code, stdout } = await runAsUser(args);
        return { code, head: stdout.split("\n")[0] };
      };
      expect(await readiness()).toEqual({ code: 0, head: "nginx-secret: blocks already" });
      // A Lease of another namespace is not a sign of life.
      await cluster.kubectl(["delete", "lease", "-n", "kubearmor", "policy-violation-operator"]);
      await cluster.apply(createLease("my-ext-secret", new Date(Date.UTC(2099, 0))));
      expect((await runAsUser([...flags, "critical", "--since", "1h"])).code).toBe(3);
      expect(await readiness()).toEqual({ code: 3, head: "nginx-secret: unknown" });
      expect((await runAsUser(["violations", "timeline", "-A", "--buckets", "3"])).stdout).toContain("prevented");
      const page = await runAsUser(["violations", "audit", "-A"]);
      expect(page.stdout.match(/<article /g)).toHaveLength(25);
    });

    test("a person with rights in one namespace sees that one, and a note about the others", async () => {
      const token = await cluster.createServiceAccountToken("my-ext-secret", "viewer");
      await cluster.apply(`
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reports, namespace: my-ext-secret}
rules: [{apiGroups: [reports.kubearmor.com], resources: [policyviolationreports], verbs: [get, list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reports, namespace: my-ext-secret}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reports}
subjects: [{kind: ServiceAccount, name: viewer, namespace: my-ext-secret}]
`);
      const kubeconfig = cluster.kubeconfigFor(token);
      const own = await runAsUser(["violations", "-n", "my-ext-secret"], kubeconfig);
      expect(own.stdout.trimEnd().split("\n")).toHaveLength(2);
      const all = await runAsUser(["violations", "-A"], kubeconfig);
      expect(all.code).toBe(3);
      expect(all.stderr).toBe(
        "error: you may not list policyviolationreports in the whole cluster: check with `kubectl auth can-i list " +
          'policyviolationreports.reports.kubearmor.com -A`. The ClusterRole "view" has the right; with rights in ' +
          "one namespace use -n NAMESPACE.\n",
      );
      const one = await runAsUser(["violations", "explain", "nginx-secret", "-n", "my-ext-secret"], kubeconfig);
      expect(one.stdout).toContain("/etc/secrets/");
    });

    test("the gate does not pass in a namespace of which it is unknown if it exists", async () => {
      const rights = ["--verb=list", "--resource=policyviolationreports.reports.kubearmor.com"];
      await cluster.kubectl(["create", "clusterrole", "list-reports", ...rights]);
      const toRole = ["--clusterrole=list-reports"];
      await cluster.kubectl(["create", "clusterrolebinding", "all", ...toRole, "--user=all"]);
      await cluster.kubectl(["create", "rolebinding", "one", "-n", "kube-public", ...toRole, "--user=one"]);
      const gate = (user: string, namespace: string) =>
        runAsUser(["violations", "gate", "--as", user, "-n", namespace]);
      const doubt = (namespace: string) => `it is unknown if there is a namespace "${namespace}"`;
      const { code, stdout } = await gate("all", "nowhere");
      expect(code).toBe(3);
      expect(stdout.replaceAll("\n", " ")).toContain(doubt("nowhere"));
      expect((await gate("all", "kube-public")).stdout.replaceAll("\n", " ")).toContain(doubt("kube-public"));
      expect((await gate("one", "kube-public")).stdout).not.toContain("unknown if there is a namespace");
    });

    test("a context that is not there, and a server that is not there", async () => {
      const context = await runAsUser(["violations", "--context", "elsewhere"]);
      expect(context.code).toBe(2);
      expect(context.stderr).toContain('there is no context "elsewhere" (contexts: test)');
      const kubeconfig = join(plugin.dir, "dead");
      await run("sh", [
        "-c",
        `sed 's,"server": "[^"]*",server: "https://127.0.0.1:1",' "$1" > "$2"`,
        "sh",
        cluster.kubeconfigPath,
        kubeconfig,
      ]);
      const dead = await runAsUser(["violations"], kubeconfig);
      expect(dead.code).toBe(3);
      expect(dead.stderr).toContain("nothing listens there: is the API server up");
    });
  });
});
