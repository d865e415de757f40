// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The chart through a real helm: what it makes of its values, and what it refuses. An API server judges the result.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { type Cluster, startCluster, whyNoCluster } from "../support/cluster.ts";

const ROOT = join(import.meta.dirname, "../..");
const CHART = join(ROOT, "charts/policy-violation-operator");
const GOLDEN = join(ROOT, "test/golden/chart/default-values.yaml");
const UPDATE = process.env["UPDATE_GOLDEN"] === "1" && !process.env["CI"];
const RELEASE = "policy-violation-operator";
const NAMESPACE = "kubearmor";

interface Manifest {
  kind: string;
  metadata: { name: string; namespace?: string; labels: Record<string, string> };
  // biome-ignore lint/suspicious/noExplicitAny: Kubernetes objects of many kinds, looked at in a few places.
  [other: string]: any;
}

const ALL_VALUES = {
  nameOverride: "pvo",
  fullnameOverride: "violations",
  image: {
    repository: "registry.example/pvo",
    tag: "1.2.3",
    digest: `sha256:${"a".repeat(64)}`,
    pullPolicy: "Always",
  },
  imagePullSecrets: [{ name: "registry" }],
  config: { feed: { relay: { address: "relay.example:32767" } }, log: { level: "debug" } },
  serviceAccount: { create: true, name: "violations", annotations: { "example.com/team": "security" } },
  rbac: { create: true, aggregateToView: true },
  resources: { requests: { cpu: 1, memory: "1Gi" }, limits: { memory: "1Gi" } },
  podAnnotations: { "prometheus.io/scrape": "true" },
  podLabels: { team: "security" },
  nodeSelector: { "kubernetes.io/os": "linux" },
  tolerations: [{ key: "node-role.kubernetes.io/control-plane", operator: "Exists", effect: "NoSchedule" }],
  affinity: { podAntiAffinity: {} },
  priorityClassName: "system-cluster-critical",
};

const missing = whyNoCluster();

describe.skipIf(missing !== undefined && !process.env["CI"])(`the chart (${missing ?? "real parts"})`, () => {
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = await startCluster();
    await cluster.kubectl(["create", "namespace", NAMESPACE]);
  });

  afterAll(() => cluster?.stop());

  const template = (...args: string[]) =>
    cluster.helm(["template", RELEASE, CHART, "--namespace", NAMESPACE, ...args]);

  async function manifests(...args: string[]): Promise<Manifest[]> {
    const documents = parseAllDocuments(await template(...args));
    return documents
      .map((document) => document.toJS() as Manifest | null)
      .filter((manifest) => manifest !== null);
  }

  async function deployment(...args: string[]): Promise<Manifest> {
    const found = (await manifests(...args)).find((manifest) => manifest.kind === "Deployment");
    if (found === undefined) throw new Error("no Deployment");
    return found;
  }

  describe("helm", () => {
    test("lint finds nothing", async () => {
      expect(await cluster.helm(["lint", "--strict", CHART])).toContain("0 chart(s) failed");
    });

    test("template gives what test/golden/chart holds", async () => {
      const text = await template();
      if (UPDATE) {
        mkdirSync(join(GOLDEN, ".."), { recursive: true });
        writeFileSync(GOLDEN, text);
      }
      expect(text).toBe(readFileSync(GOLDEN, "utf8"));
    });

    test.each([
      ["a misspelt key", "imagee.tag=1", "additional properties 'imagee' not allowed"],
      ["a misspelt key further down", "image.tags=1", "additional properties 'tags' not allowed"],
      [
        "a misspelt setting",
        "config.reports.maxViolation=3",
        "additional properties 'maxViolation' not allowed",
      ],
      ["a setting out of bounds", "config.reports.maxViolations=1001", "maximum"],
      ["a setting of another type", "config.events.enabled=maybe", "want boolean"],
      [
        "a setting that the chart owns",
        "config.metrics.address=:9090",
        "additional properties 'metrics' not allowed",
      ],
      ["a digest that is none", "image.digest=latest", "does not match pattern"],
    ])("template refuses %s", async (_what, set, said) => {
      await expect(template("--set", set)).rejects.toThrow(said);
    });

    test("template says which account is missing", async () => {
      await expect(template("--set", "serviceAccount.create=false")).rejects.toThrow(
        "serviceAccount.name is needed",
      );
    });
  });

  describe("the values", () => {
    test("reach the configuration file as they are", async () => {
      const found = await manifests(
        "--set",
        "config.reports.maxBytes=1048576,config.redaction.names={pin,otp}",
      );
      const map = found.find((manifest) => manifest.kind === "ConfigMap");
      expect(parse(map?.["data"]["config.yaml"])).toEqual({
        feed: { relay: { address: "kubearmor.kubearmor.svc:32767" } },
        redaction: { names: ["pin", "otp"] },
        reports: { maxBytes: 1_048_576 },
      });
    });

    test("of the configuration restart the pod when they change, others do not", async () => {
      const checksum = async (...args: string[]) =>
        (await deployment(...args))["spec"].template.metadata.annotations["checksum/config"];
      const before = await checksum();
      expect(before).toMatch(/^[0-9a-f]{64}$/);
      expect(await checksum("--set", "config.log.level=debug")).not.toBe(before);
      expect(await checksum("--set", "priorityClassName=system-cluster-critical")).toBe(before);
    });

    test("leave time to write what is unwritten", async () => {
      const grace = async (...args: string[]) =>
        (await deployment(...args))["spec"].template.spec.terminationGracePeriodSeconds;
      expect(await grace()).toBe(30);
      expect(await grace("--set", "config.shutdown.graceMs=45500")).toBe(56);
    });

    test("decide which image runs, the digest first", async () => {
      const image = async (...args: string[]) =>
        (await deployment(...args))["spec"].template.spec.containers[0].image;
      const digest = `sha256:${"0".repeat(64)}`;
      expect(await image()).toBe("policy-violation-operator:0.1.0");
      expect(await image("--set", "image.repository=r/pvo,image.tag=v2")).toBe("r/pvo:v2");
      expect(await image("--set", `image.tag=v2,image.digest=${digest}`)).toBe(
        `policy-violation-operator@${digest}`,
      );
    });

    test("move the Lease's rights with its name", async () => {
      const found = await manifests("--set", "config.leaderElection.leaseName=other");
      const role = found.find((manifest) => manifest.kind === "Role");
      expect(role?.["rules"][1].resourceNames).toEqual(["other"]);
    });

    test("that are all set make objects that the server accepts, strictly", async () => {
      const file = join(cluster.dir, "all-values.yaml");
      writeFileSync(file, JSON.stringify(ALL_VALUES));
      const text = await template("--include-crds", "--values", file);
      const answer = await cluster.kubectl(
        ["apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-"],
        { input: text },
      );
      expect(answer.trim().split("\n")).toHaveLength(11);
    });
  });
});
