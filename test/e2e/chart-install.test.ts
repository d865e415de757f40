// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The chart installed on a real API server: that its objects are accepted, what its account may do and what it may
// not. No kubelet runs there, so no pod of it does; rights.test.ts runs the operator with the chart's account.

import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { parse } from "yaml";
import { describeReal, useCluster } from "../support/real-parts.ts";

const CHART = join(import.meta.dirname, "../../charts/policy-violation-operator");
const RELEASE = "policy-violation-operator";
const NAMESPACE = "kubearmor";
/** The account of the operator, with the groups that the API server gives to it. */
const OPERATOR = {
  user: `system:serviceaccount:${NAMESPACE}:${RELEASE}`,
  groups: ["system:serviceaccounts", `system:serviceaccounts:${NAMESPACE}`, "system:authenticated"],
};

const PUBLISHED = {
  apiVersion: "discovery.k8s.io/v1",
  kind: "EndpointSlice",
  metadata: { name: "kubernetes", namespace: "default", labels: { "kubernetes.io/service-name": "kubernetes" } },
  addressType: "IPv4",
  endpoints: [{ addresses: ["10.77.0.1"] }],
  ports: [{ name: "https", port: 7443, protocol: "TCP" }],
};

describeReal("helm install", () => {
  const cluster = useCluster({ namespaces: [NAMESPACE] });

  beforeAll(async () => {
    const labels = ["pod-security.kubernetes.io/enforce=restricted"];
    await cluster.kubectl(["label", "namespace", NAMESPACE, ...labels]);
    // Without a node, the API server does not publish itself.
    await cluster.apply(`${JSON.stringify(PUBLISHED)}\n`);
    await cluster.helm(["install", RELEASE, CHART, "--namespace", NAMESPACE]);
  });

  test("makes every object", async () => {
    const list = await cluster.kubectl([
      ...["get", "deployment,service,configmap,serviceaccount,role,rolebinding,pdb,networkpolicy"],
      ...["-n", NAMESPACE],
      ...["-l", `app.kubernetes.io/instance=${RELEASE}`, "-o", "name"],
    ]);
    expect(list.trim().split("\n").sort()).toEqual([
      `configmap/${RELEASE}`,
      `configmap/${RELEASE}-dashboard`,
      `deployment.apps/${RELEASE}`,
      `networkpolicy.networking.k8s.io/${RELEASE}`,
      `poddisruptionbudget.policy/${RELEASE}`,
      `role.rbac.authorization.k8s.io/${NAMESPACE}-${RELEASE}-relay-tls`,
      `role.rbac.authorization.k8s.io/${RELEASE}`,
      `role.rbac.authorization.k8s.io/${RELEASE}-heartbeat`,
      `rolebinding.rbac.authorization.k8s.io/${NAMESPACE}-${RELEASE}-relay-tls`,
      `rolebinding.rbac.authorization.k8s.io/${RELEASE}`,
      `rolebinding.rbac.authorization.k8s.io/${RELEASE}-heartbeat`,
      `service/${RELEASE}`,
      `serviceaccount/${RELEASE}`,
    ]);
    expect((await cluster.kubectl(["get", "crd", "-o", "name"])).trim().split("\n").sort()).toEqual([
      "customresourcedefinition.apiextensions.k8s.io/acceptedviolations.reports.kubearmor.com",
      "customresourcedefinition.apiextensions.k8s.io/clusterpolicyviolationreports.reports.kubearmor.com",
      "customresourcedefinition.apiextensions.k8s.io/policyviolationreports.reports.kubearmor.com",
    ]);
  });

  test("makes pods that the Pod Security Standard `restricted` admits", async () => {
    const { spec } = JSON.parse(await cluster.kubectl(["get", "deployment", RELEASE, "-n", NAMESPACE, "-o", "json"]));
    const hooks = await cluster.helm(["get", "hooks", RELEASE, "-n", NAMESPACE]);
    const helmTest = parse(hooks) as { kind: string; spec: object };
    expect(helmTest.kind).toBe("Pod");
    const pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "probe", namespace: NAMESPACE } };
    const create = (podSpec: unknown) =>
      cluster.kubectl(["create", "--dry-run=server", "-f", "-"], { input: JSON.stringify({ ...pod, spec: podSpec }) });
    for (const podSpec of [spec.template.spec, helmTest.spec]) {
      expect(await create(podSpec)).toContain("pod/probe created");
      // The same without its security context is refused: the standard is in force.
      await expect(create({ ...podSpec, securityContext: {} })).rejects.toThrow("violates PodSecurity");
    }
  });

  test("lets the pods out to the port on which the API server says it listens", async () => {
    const policy = JSON.parse(await cluster.kubectl(["get", "networkpolicy", RELEASE, "-n", NAMESPACE, "-o", "json"]));
    const open = policy.spec.egress[1].ports.map(({ port }: { port: number }) => port);
    expect(open).toEqual([443, 6443, 8443, 16443, 7443]);
  });

  /**
   * Asks the API server by the names that a rule has. `kubectl auth can-i` drops the group of a resource that the
   * server does not serve, and answers "no".
   */
  const isAllowed = async (
    [verb, what, namespace]: readonly string[],
    user: { user: string; groups: readonly string[] } = OPERATOR,
  ): Promise<boolean> => {
    const [type = "", name] = (what as string).split("/");
    const [resource, ...group] = type.split(".");
    const resourceAttributes = { verb, group: group.join("."), resource, name, namespace };
    const review = {
      apiVersion: "authorization.k8s.io/v1",
      kind: "SubjectAccessReview",
      spec: { ...user, resourceAttributes },
    };
    const answer = await cluster.kubectl(["create", "-f", "-", "-o", "json"], { input: JSON.stringify(review) });
    return JSON.parse(answer).status.allowed;
  };
  const REPORTS = "policyviolationreports.reports.kubearmor.com";
  const LEASE = "leases.coordination.k8s.io";

  test.each([
    ["deletecollection", REPORTS, "shop"],
    ["patch", REPORTS, "shop"],
    ["delete", "reports.openreports.io", "shop"],
    ["patch", "clusterreports.openreports.io", "shop"],
    ["list", "pods", "shop"],
    ["list", "nodes", "shop"],
    ["get", "secrets", NAMESPACE],
    ["get", "secrets/other", NAMESPACE],
    ["list", "secrets", NAMESPACE],
    ["watch", "secrets/kubearmor-client-certs", NAMESPACE],
    ["get", "secrets/kubearmor-client-certs", "shop"],
    ["get", "configmaps", NAMESPACE],
    ["create", "events", "shop"],
    ["get", `${LEASE}/other`, NAMESPACE],
    ["update", `${LEASE}/other`, NAMESPACE],
    ["create", LEASE, "shop"],
    ["delete", `${LEASE}/${RELEASE}`, NAMESPACE],
    ["impersonate", "serviceaccounts", NAMESPACE],
    ["get", "kubearmorpolicies.security.kubearmor.com", "shop"],
  ])("does not let the operator %s %s in %s", async (verb, what, namespace) => {
    expect(await isAllowed([verb, what, namespace])).toBe(false);
  });

  test.each([
    ["get", `${LEASE}/${RELEASE}`, NAMESPACE, "yes"],
    ["get", `${LEASE}/other`, NAMESPACE, "no"],
    ["list", LEASE, NAMESPACE, "no"],
    ["update", `${LEASE}/${RELEASE}`, NAMESPACE, "no"],
    ["get", `${LEASE}/${RELEASE}`, "shop", "no"],
  ])("a user without any other right may %s %s in %s: %s", async (verb, what, namespace, answer) => {
    const stranger = { user: "stranger", groups: ["system:authenticated"] };
    expect((await isAllowed([verb, what, namespace], stranger)) ? "yes" : "no").toBe(answer);
  });
});
