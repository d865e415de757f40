// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The chart installed on a real API server: that its objects are accepted, what its account may do and what it may
// not, and that it upgrades and goes away. No kubelet runs there, so no pod of it does; rights.test.ts runs the
// operator with the chart's account.

import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { type Cluster, startCluster, whyNoCluster } from "../support/cluster.ts";

const CHART = join(import.meta.dirname, "../../charts/policy-violation-operator");
const RELEASE = "policy-violation-operator";
const NAMESPACE = "kubearmor";
const ACCOUNT = `system:serviceaccount:${NAMESPACE}:${RELEASE}`;

const missing = whyNoCluster();

describe.skipIf(missing !== undefined && !process.env["CI"])(
  `helm install (${missing ?? "real parts"})`,
  () => {
    let cluster: Cluster;

    beforeAll(async () => {
      cluster = await startCluster();
      await cluster.kubectl(["create", "namespace", NAMESPACE]);
      const labels = ["pod-security.kubernetes.io/enforce=restricted"];
      await cluster.kubectl(["label", "namespace", NAMESPACE, ...labels]);
      await cluster.helm(["install", RELEASE, CHART, "--namespace", NAMESPACE]);
    });

    afterAll(() => cluster?.stop());

    test("makes every object", async () => {
      const list = await cluster.kubectl([
        ...["get", "deployment,service,configmap,serviceaccount,role,rolebinding", "-n", NAMESPACE],
        ...["-l", `app.kubernetes.io/instance=${RELEASE}`, "-o", "name"],
      ]);
      expect(list.trim().split("\n").sort()).toEqual([
        `configmap/${RELEASE}`,
        `deployment.apps/${RELEASE}`,
        `role.rbac.authorization.k8s.io/${RELEASE}`,
        `rolebinding.rbac.authorization.k8s.io/${RELEASE}`,
        `service/${RELEASE}`,
        `serviceaccount/${RELEASE}`,
      ]);
      expect((await cluster.kubectl(["get", "crd", "-o", "name"])).trim().split("\n").sort()).toEqual([
        "customresourcedefinition.apiextensions.k8s.io/clusterpolicyviolationreports.reports.kubearmor.com",
        "customresourcedefinition.apiextensions.k8s.io/policyviolationreports.reports.kubearmor.com",
      ]);
    });

    test("makes a pod that the Pod Security Standard `restricted` admits", async () => {
      const { spec } = JSON.parse(
        await cluster.kubectl(["get", "deployment", RELEASE, "-n", NAMESPACE, "-o", "json"]),
      );
      const pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "probe", namespace: NAMESPACE } };
      const create = (podSpec: unknown) =>
        cluster.kubectl(["create", "--dry-run=server", "-f", "-"], {
          input: JSON.stringify({ ...pod, spec: podSpec }),
        });
      expect(await create(spec.template.spec)).toContain("pod/probe created");
      // The same without its security context is refused: the standard is in force.
      await expect(create({ ...spec.template.spec, securityContext: {} })).rejects.toThrow(
        "violates PodSecurity",
      );
    });

    const can = async (verb: string, what: string, namespace: string) => {
      const [resource = "", name] = what.split("/");
      const args = ["auth", "can-i", verb, name === undefined ? resource : `${resource}/${name}`];
      // can-i answers "no" with exit code 1.
      return cluster.kubectl([...args, "-n", namespace, "--as", ACCOUNT], { ok: [0, 1] });
    };
    const REPORTS = "policyviolationreports.reports.kubearmor.com";
    const CLUSTER_REPORTS = "clusterpolicyviolationreports.reports.kubearmor.com";
    const LEASE = "leases.coordination.k8s.io";

    test.each([
      ...["get", "list", "create", "update"].map((verb) => [verb, REPORTS, "shop"]),
      ...["get", "list", "create", "update"].map((verb) => [verb, CLUSTER_REPORTS, "shop"]),
      ["create", "events.events.k8s.io", "shop"],
      ["patch", "events.events.k8s.io", "default"],
      ["get", "pods", "shop"],
      ["get", "nodes", "shop"],
      ["create", LEASE, NAMESPACE],
      ["get", `${LEASE}/${RELEASE}`, NAMESPACE],
      ["update", `${LEASE}/${RELEASE}`, NAMESPACE],
    ] as [string, string, string][])("lets the operator %s %s in %s", async (verb, what, namespace) => {
      expect((await can(verb, what, namespace)).trim()).toMatch(/^yes$/m);
    });

    test.each([
      ["delete", REPORTS, "shop"],
      ["patch", REPORTS, "shop"],
      ["watch", REPORTS, "shop"],
      ["list", "pods", "shop"],
      ["list", "nodes", "shop"],
      ["get", "secrets", NAMESPACE],
      ["get", "configmaps", NAMESPACE],
      ["create", "events", "shop"],
      ["get", `${LEASE}/other`, NAMESPACE],
      ["update", `${LEASE}/other`, NAMESPACE],
      ["create", LEASE, "shop"],
      ["delete", `${LEASE}/${RELEASE}`, NAMESPACE],
      ["impersonate", "serviceaccounts", NAMESPACE],
      ["get", "kubearmorpolicies.security.kubearmor.com", "shop"],
    ])("does not let the operator %s %s in %s", async (verb, what, namespace) => {
      expect((await can(verb, what, namespace)).trim()).toMatch(/^no$/m);
    });

    test("upgrade changes the configuration; uninstall leaves the CRDs, and nothing else", async () => {
      await cluster.helm(["upgrade", RELEASE, CHART, "-n", NAMESPACE, "--set", "config.log.level=warn"]);
      const config = ["get", "configmap", RELEASE, "-n", NAMESPACE, "-o", "jsonpath={.data.config\\.yaml}"];
      expect(parse(await cluster.kubectl(config)).log).toEqual({ level: "warn" });
      await cluster.helm(["uninstall", RELEASE, "-n", NAMESPACE]);
      const kinds =
        "deployment,service,configmap,serviceaccount,role,rolebinding,clusterrole,clusterrolebinding,crd";
      const left = await cluster.kubectl([
        "get",
        kinds,
        "-A",
        "-l",
        `app.kubernetes.io/part-of=kubearmor`,
        "-o",
        "name",
      ]);
      expect(left.trim().split("\n").sort()).toEqual([
        "customresourcedefinition.apiextensions.k8s.io/clusterpolicyviolationreports.reports.kubearmor.com",
        "customresourcedefinition.apiextensions.k8s.io/policyviolationreports.reports.kubearmor.com",
      ]);
    });
  },
);
