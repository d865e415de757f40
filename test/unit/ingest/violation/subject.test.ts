// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { describe, expect, it } from "vitest";
import type { Alert } from "../../../../src/api/alert.ts";
import { toSubject } from "../../../../src/ingest/violation/subject.ts";
import { alert, hostAlert } from "../../../support/gen.ts";

const ID = "4b5e57f6eb2f42b9039b3d1e13929295f231749c510cbe341cd68036d9af97e2";
const NO_OWNER: Partial<Alert> = { OwnerRef: "", OwnerName: "", OwnerNamespace: "" };
const NO_POD: Partial<Alert> = { ...NO_OWNER, NamespaceName: "", PodName: "" };

describe("the workload of an alert", () => {
  it.each<[string, Partial<Alert>, string]>([
    ["an owner", {}, "Deployment/web"],
    ["an owner of another namespace", { OwnerNamespace: "other" }, "Pod/web-1"],
    ["an owner without a namespace", { OwnerNamespace: "" }, "Pod/web-1"],
    ["an owner of an odd namespace", { NamespaceName: "Odd", OwnerNamespace: "Odd" }, "Deployment/web"],
    ["an owner between white space", { OwnerName: " web ", OwnerRef: " Deployment " }, "Deployment/web"],
    ["no owner", NO_OWNER, "Pod/web-1"],
    ["the kind of an owner alone", { ...NO_OWNER, OwnerRef: "Deployment" }, "Pod/web-1"],
    ["no owner, in an unknown namespace", { ...NO_OWNER, NamespaceName: "Unknown" }, "Pod/web-1"],
    ["no owner and no pod", { ...NO_OWNER, PodName: "" }, "Pod/Unknown"],
    ["a bare pod", { OwnerRef: "", OwnerName: "web-1" }, "Pod/web-1"],
    ["a bare pod, as KubeArmor sent it once", { OwnerRef: "Pod", OwnerName: "web-1" }, "Pod/web-1"],
    ["an owner without a kind", { OwnerRef: "", OwnerName: "web" }, "Unknown/web"],
    ["a container without namespace and pod", { ...NO_POD, ContainerID: ID, ContainerName: "web" }, "Container/web"],
    ["a container that has only its id", { ...NO_POD, ContainerID: ID, ContainerName: ID }, "Container/Unknown"],
    ["a container outside Kubernetes", { ...NO_OWNER, NamespaceName: "container_namespace" }, "Container/web-1"],
    [
      "a container of which KubeArmor knows no labels",
      { ...NO_OWNER, NamespaceName: "Unknown", PodName: "Unknown", ContainerName: "web" },
      "Container/web",
    ],
    [
      "a container that has only its id, without a type",
      { ...NO_POD, Type: "", ContainerID: ID, ContainerName: "" },
      "Container/Unknown",
    ],
    [
      "a network policy that names only the container",
      { ...NO_POD, Type: "MatchedNetworkPolicy", ContainerID: ID, ContainerName: "" },
      "Container/Unknown",
    ],
    ["a host policy", { ...NO_POD, Type: "MatchedHostPolicy", ContainerID: ID }, "Node/node-1"],
  ])("of %s", (_what, mods, expected) => {
    const { kind, name } = toSubject(alert(mods)).workload;
    expect(`${kind}/${name}`).toBe(expected);
  });

  it("of a process of the node is the node", () => {
    expect(toSubject(hostAlert()).workload).toEqual({ kind: "Node", name: "node-1" });
    expect(toSubject(hostAlert({ Type: "MatchedNetworkPolicy" })).workload.kind).toBe("Node");
    expect(toSubject(hostAlert({ HostName: "" })).workload).toEqual({ kind: "Node", name: "Unknown" });
  });

  it("of a node is never the owner of a pod that the alert names", () => {
    expect(toSubject(alert()).hasOwner).toBe(true);
    expect(toSubject(alert({ Type: "MatchedHostPolicy" }))).toMatchObject({
      workload: { kind: "Node" },
      hasOwner: false,
    });
  });
});

describe("the container of an alert", () => {
  it.each([
    ["web", "web", ID],
    [ID, "", ID],
    [ID.slice(0, 12), "", ID],
    [`containerd://${ID}`, "", ID],
    [ID.toUpperCase(), "", ID],
    ["/k8s_web_web-6c5f9d7b8-q7w2e_shop_0b79c32b-2f4c-4da8-b771-e6baa7ebede4_0", "web", ID],
    // Another container's id is not a name, either.
    ["f".repeat(64), "", ID],
    ["k8s_web_web-6c5f9d7b8-q7w2e_shop_0b79c32b-2f4c-4da8-b771-e6baa7ebede4_0", "web", ID],
    ["k8s_POD_web-6c5f9d7b8-q7w2e_shop_0b79c32b-2f4c-4da8-b771-e6baa7ebede4_12", "POD", ID],
    ["deadbeef", "deadbeef", ID],
    ["", "", ID],
  ])("named %j is %j", (ContainerName, container, containerId) => {
    expect(toSubject(alert({ ContainerID: ID, ContainerName }))).toMatchObject({ container, containerId });
  });
});
