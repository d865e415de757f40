// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The chart through a real helm: what it makes of its values, and what it refuses. An API server judges the result.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { downloadPrometheusCrds } from "../chart/prometheus-operator.ts";
import { describeReal, useCluster } from "../support/real-parts.ts";

const ROOT = join(import.meta.dirname, "../..");
const CHART = join(ROOT, "charts/policy-violation-operator");
const GOLDEN = join(ROOT, "test/golden/chart");
const selectValues = (set: string) => ["--values", join(GOLDEN, `${set}.values.yaml`)];
const UPDATE = process.env["UPDATE_GOLDEN"] === "1" && !process.env["CI"];
const RELEASE = "policy-violation-operator";
const NAMESPACE = "kubearmor";

interface Manifest {
  kind: string;
  apiVersion: string;
  metadata: { name: string; namespace?: string; labels: Record<string, string>; annotations?: Record<string, string> };
  // biome-ignore lint/suspicious/noExplicitAny: Kubernetes objects of many kinds, looked at in a few places.
  [other: string]: any;
}

/** Sets of values, each a file next to the text that helm renders from it. */
const VALUE_SETS = ["default", "everything", "single-replica", "by-hand", "scale"];

describeReal("the chart", () => {
  const cluster = useCluster({ namespaces: [NAMESPACE, "monitoring"] });

  beforeAll(async () => {
    // That of the relay in one set of values.
    await cluster.kubectl(["create", "namespace", "security"]);
    await cluster.kubectl(["apply", "--server-side", ...downloadPrometheusCrds().flatMap((path) => ["-f", path])]);
  });

  const template = (...args: string[]) => cluster.helm(["template", RELEASE, CHART, "--namespace", NAMESPACE, ...args]);

  async function renderManifests(...args: string[]): Promise<Manifest[]> {
    const documents = parseAllDocuments(await template(...args));
    return documents.map((document) => document.toJS() as Manifest | null).filter((manifest) => manifest !== null);
  }

  async function renderDeployment(...args: string[]): Promise<Manifest> {
    const found = (await renderManifests(...args)).find((manifest) => manifest.kind === "Deployment");
    if (found === undefined) throw new Error("no Deployment");
    return found;
  }

  describe("helm", () => {
    test("lint finds nothing", async () => {
      expect(await cluster.helm(["lint", "--strict", CHART])).toContain("0 chart(s) failed");
    });

    test.each(VALUE_SETS)("template gives what test/golden/chart holds: %s", async (set) => {
      // The CRDs and the dashboard have files and tests of their own.
      const text = await template(...selectValues(set), "--set", "crds.install=false,dashboard.enabled=false");
      const golden = join(GOLDEN, `${set}.yaml`);
      if (UPDATE) writeFileSync(golden, text);
      expect(text).toBe(readFileSync(golden, "utf8"));
    });

    test.each(VALUE_SETS)("the server accepts every object, strictly: %s", async (set) => {
      const text = await template(...selectValues(set));
      const answer = await cluster.kubectl(
        ["apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-"],
        { input: text },
      );
      const made = parseAllDocuments(text).filter((document) => document.toJS() !== null);
      expect(made.length).toBeGreaterThan(7);
      expect(answer.trim().split("\n")).toHaveLength(made.length);
    });

    test("the server accepts names that YAML takes for numbers and booleans", async () => {
      await cluster.kubectl(["create", "namespace", "2"]);
      const args = ["apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-"];
      const apply = async (values: string, ...names: string[]) => {
        const namespace = ["--namespace", "2", ...names.flatMap((name) => ["--set-string", name])];
        const text = await cluster.helm(["template", "1", CHART, ...namespace, ...selectValues(values)]);
        return await cluster.kubectl(args, { input: text });
      };
      expect(await apply("everything", "nameOverride=no")).toContain(
        "clusterrole.rbac.authorization.k8s.io/2-violations ",
      );
      const names = ["fullnameOverride=1e5", "serviceAccount.name=12", "priorityClassName=7"];
      for (const values of ["default", "scale"]) {
        const secrets = ["scale.secretName=8", "gitExport.credentialsSecret=9"];
        expect(await apply(values, ...names, ...secrets)).toContain("deployment.apps/1e5 ");
      }
    });

    test.each([
      ["a misspelt key", "imagee.tag=1", "additional properties 'imagee' not allowed"],
      ["a misspelt key further down", "image.tags=1", "additional properties 'tags' not allowed"],
      ["a misspelt setting", "config.reports.maxViolation=3", "additional properties 'maxViolation' not allowed"],
      ["a setting out of bounds", "config.reports.maxViolations=1001", "maximum"],
      ["a setting of another type", "config.events.enabled=maybe", "want boolean"],
      ["a setting that the chart owns", "config.metrics.address=:9090", "additional properties 'address' not allowed"],
      ["an invalid digest", "image.digest=latest", "does not match pattern"],
      [
        "a journal that two replicas share",
        "journal.volume.persistentVolumeClaim.claimName=journal",
        "replicas must be 1 when journal.volume is a persistentVolumeClaim",
      ],
      ["an invalid switch", "serviceMonitor.enabled=maybe", "value must be one of"],
      ["an invalid port", "networkPolicy.apiServerPorts={0}", "minimum"],
      ["a duration without a unit", "podMonitor.interval=30", "want string"],
      [
        "two replicas that both write",
        "config.leaderElection.enabled=false",
        "replicas must be 1 when config.leaderElection.enabled is false",
      ],
    ])("template refuses %s", async (_what, set, said) => {
      await expect(template("--set", set)).rejects.toThrow(said);
    });

    test("template says which account is missing", async () => {
      await expect(template("--set", "serviceAccount.create=false")).rejects.toThrow("serviceAccount.name is needed");
    });
  });

  describe("the values", () => {
    test("leave time to write what is unwritten", async () => {
      const grace = async (...args: string[]) =>
        (await renderDeployment(...args))["spec"].template.spec.terminationGracePeriodSeconds;
      expect(await grace("--set", "config.shutdown.graceMs=1m30s")).toBe(100);
      expect(await grace("--set", "config.shutdown.graceMs=1.5s")).toBe(12);
    });

    test("give the journal's volume twice its size, in either form", async () => {
      const limit = async (maxBytes: string) => {
        const { spec } = (await renderDeployment("--set", `config.journal.maxBytes=${maxBytes}`))["spec"].template;
        const { emptyDir } = spec.volumes.find(({ name }: { name: string }) => name === "journal");
        return emptyDir.sizeLimit;
      };
      expect(await limit("1048576")).toBe("2097152");
      expect(await limit("1.5Gi")).toBe("3221225472");
      expect(await limit("2M")).toBe("4000000");
    });

    test("give the rights for OpenReports unless they are switched off", async () => {
      const groups = async (...args: string[]) => {
        const role = (await renderManifests(...args)).find(({ kind }) => kind === "ClusterRole");
        return role?.["rules"].flatMap(({ apiGroups }: { apiGroups: string[] }) => apiGroups);
      };
      expect(await groups()).toContain("openreports.io");
      for (const set of ["--set", "--set-string"]) {
        expect(await groups(set, "config.openReports.enabled=false")).not.toContain("openreports.io");
      }
    });

    test("make a FlowSchema, a GrafanaDashboard and no admission policy where they say so", async () => {
      const kinds = async (...args: string[]) => (await renderManifests(...args)).map(({ kind }) => kind);
      const special = ["FlowSchema", "GrafanaDashboard", "ValidatingAdmissionPolicy"];
      const without = await kinds();
      expect(special.filter((kind) => without.includes(kind))).toEqual(["ValidatingAdmissionPolicy"]);
      const sets = [
        "flowSchema.enabled=true",
        "dashboard.grafanaOperator.enabled=true",
        "admissionPolicy.enabled=false",
      ];
      const other = await kinds(...sets.flatMap((set) => ["--set", set]));
      expect(special.filter((kind) => other.includes(kind))).toEqual(["FlowSchema", "GrafanaDashboard"]);
      const served = await kinds(
        ...["--set", "dashboard.grafanaOperator.enabled=auto"],
        ...["--api-versions", "grafana.integreatly.org/v1beta1/GrafanaDashboard"],
      );
      expect(served).toContain("GrafanaDashboard");
    });

    test("keep the CRDs as the repository has them, and mark them to be kept", async () => {
      const crds = async (...args: string[]) =>
        (await renderManifests(...args)).filter(({ kind }) => kind === "CustomResourceDefinition");
      const made = await crds();
      for (const name of ["acceptedviolations", "clusterpolicyviolationreports", "policyviolationreports"]) {
        const original = parse(readFileSync(join(ROOT, "crds", `${name}.yaml`), "utf8"));
        const found = made.find(({ metadata }) => metadata.name === original.metadata.name);
        expect(found?.["spec"]).toEqual(original.spec);
        expect(found?.metadata.annotations).toEqual({ "helm.sh/resource-policy": "keep" });
      }
      const thrownAway = await crds("--set", "crds.keep=false");
      expect(thrownAway.map(({ metadata }) => metadata.annotations)).toEqual([undefined, undefined, undefined]);
      expect(await crds("--set", "crds.install=false")).toEqual([]);
    });

    test.each([
      ["kubearmor.security.svc:32767", "security", 32767],
      ["relay.security.svc.cluster.local:4000", "security", 4000],
      ["relay.security:32767", "security", 32767],
      ["relay:32767", NAMESPACE, 32767],
      ["10.1.2.3:32767", undefined, 32767],
      ["[fd00::7]:32767", undefined, 32767],
      ["relay.security.example.com:443", undefined, 443],
    ])("let the pods out to the relay %s", async (address, namespace, port) => {
      const found = await renderManifests("--set-string", `config.feed.relay.address=${address}`);
      const policy = found.find(({ kind }) => kind === "NetworkPolicy");
      expect(policy?.["spec"].egress.at(-1)).toEqual({
        ports: [{ port, protocol: "TCP" }],
        ...(namespace === undefined
          ? {}
          : { to: [{ namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": namespace } } }] }),
      });
    });

    test("make what the Prometheus Operator reads where the cluster knows it, unless configured otherwise", async () => {
      const kinds = async (...args: string[]) =>
        (await renderManifests(...args))
          .filter(({ apiVersion }) => apiVersion === "monitoring.coreos.com/v1")
          .map(({ kind }) => kind)
          .sort();
      const known = ["ServiceMonitor", "PodMonitor", "PrometheusRule"].flatMap((kind) => [
        "--api-versions",
        `monitoring.coreos.com/v1/${kind}`,
      ]);
      expect(await kinds()).toEqual([]);
      expect(await kinds(...known)).toEqual(["PrometheusRule", "ServiceMonitor"]);
      expect(await kinds(...known, "--set", "serviceMonitor.enabled=false,prometheusRule.enabled=false")).toEqual([]);
      expect(await kinds("--set", "podMonitor.enabled=true")).toEqual(["PodMonitor"]);
    });
  });
});
