// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The chart's life on a real API server: install, upgrade from an older version, rollback, uninstall, install again,
// with reports there all the time, which must not notice. No kubelet runs there; `npm run test:node` does it with pods.

import { cpSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { parse } from "yaml";
import { eventually } from "../support/eventually.ts";
import { describeReal, useCluster } from "../support/real-parts.ts";
import { SMALL_BODY } from "../unit/api/full-report.ts";

const CHART = join(import.meta.dirname, "../../charts/policy-violation-operator");
const RELEASE = "policy-violation-operator";
const NAMESPACE = "kubearmor";
const KINDS =
  "deployment,service,configmap,serviceaccount,role,rolebinding,pdb,networkpolicy,clusterrole,clusterrolebinding,crd";

/** The API server has been seen to take more than a minute to delete a CRD, because it tries again ever more rarely. */
const DELETION_MS = 300_000;

describeReal("the chart's life", () => {
  const cluster = useCluster();

  beforeAll(async () => {
    for (const namespace of [NAMESPACE, "shop", "bank"]) {
      await cluster.kubectl(["create", "namespace", namespace]);
    }
  });

  const helm = (command: string, chart: string | undefined, ...args: string[]) =>
    cluster.helm([command, RELEASE, ...(chart === undefined ? [] : [chart]), "-n", NAMESPACE, ...args]);

  /** The chart as it was in an older version; `change` makes its folder into that. */
  function makeOlderChart(version: string, change: (folder: string) => void = () => undefined): string {
    const folder = join(cluster.dir, `chart-${version}`);
    cpSync(CHART, folder, { recursive: true });
    const chart = join(folder, "Chart.yaml");
    writeFileSync(chart, readFileSync(chart, "utf8").replace(/^version: .*$/m, `version: ${version}`));
    change(folder);
    return folder;
  }

  async function writeReport(namespace: string | undefined, name: string): Promise<void> {
    const report = {
      apiVersion: "reports.kubearmor.com/v1alpha1",
      kind: namespace === undefined ? "ClusterPolicyViolationReport" : "PolicyViolationReport",
      metadata: { name, ...(namespace === undefined ? {} : { namespace }) },
      ...SMALL_BODY,
    };
    await eventually(`the kind ${report.kind} is served`, async () => {
      const path = `/apis/reports.kubearmor.com/v1alpha1${namespace === undefined ? "" : `/namespaces/${namespace}`}/${report.kind.toLowerCase()}s`;
      const { status, body } = await cluster.request("POST", path, report);
      if (![201, 404, 429].includes(status)) throw new Error(JSON.stringify(body));
      return status === 201;
    });
  }

  /** Every report with its uid and version: what was deleted and made again, or written, shows. */
  async function readReports(): Promise<string[]> {
    const text = await cluster.kubectl(["get", "pvr,cpvr", "-A", "-o", "json"]);
    const { items } = JSON.parse(text) as {
      items: { metadata: { name: string; uid: string; resourceVersion: string } }[];
    };
    return items.map(({ metadata }) => `${metadata.name} ${metadata.uid} ${metadata.resourceVersion}`).sort();
  }

  /** The names of all objects that carry the release's label. */
  async function listObjects(): Promise<string[]> {
    const labels = ["-l", `app.kubernetes.io/instance=${RELEASE}`];
    return (await cluster.kubectl(["get", KINDS, "-A", ...labels, "-o", "name"])).trim().split("\n").sort();
  }

  async function readLevel(): Promise<unknown> {
    const path = ["-n", NAMESPACE, "-o", "jsonpath={.data.config\\.yaml}"];
    return parse(await cluster.kubectl(["get", "configmap", RELEASE, ...path])).log?.level;
  }

  const CRDS = [
    "customresourcedefinition.apiextensions.k8s.io/acceptedviolations.reports.kubearmor.com",
    "customresourcedefinition.apiextensions.k8s.io/clusterpolicyviolationreports.reports.kubearmor.com",
    "customresourcedefinition.apiextensions.k8s.io/policyviolationreports.reports.kubearmor.com",
  ];

  let before: string[];

  test("a user who may view a namespace sees its reports and no other", async () => {
    const older = makeOlderChart("0.0.1");
    await helm("install", older, "--set", "config.log.level=warn");
    await writeReport("shop", "block-shell");
    await writeReport("bank", "block-apt");
    await writeReport(undefined, "default-posture");
    before = await readReports();
    expect(before).toHaveLength(3);
    for (const [user, role] of [
      ["vera", "view"],
      ["edgar", "edit"],
      ["ada", "admin"],
    ] as const) {
      const binding = ["create", "rolebinding", user, `--clusterrole=${role}`, `--user=${user}`];
      await cluster.kubectl([...binding, "-n", "shop"]);
    }
    const can = async (user: string, verb: string, what: string, namespace: string) =>
      (await cluster.kubectl(["auth", "can-i", verb, what, "-n", namespace, "--as", user], { ok: [0, 1] })).includes(
        "yes",
      );
    // The controller manager adds the chart's rules to the cluster's own roles.
    await eventually("view has the rule", () => can("vera", "list", "pvr", "shop"));
    const asVera = (...args: string[]) => cluster.kubectl(["get", ...args, "-o", "name", "--as", "vera"]);
    expect(await asVera("pvr", "-n", "shop")).toBe("policyviolationreport.reports.kubearmor.com/block-shell\n");
    await expect(asVera("pvr", "-n", "bank")).rejects.toThrow("Forbidden");
    await expect(asVera("pvr", "-A")).rejects.toThrow("Forbidden");
    await expect(asVera("cpvr")).rejects.toThrow("Forbidden");
    const mayDelete = async (user: string) => ({
      own: await can(user, "delete", "pvr", "shop"),
      other: await can(user, "delete", "pvr", "bank"),
    });
    expect(await mayDelete("ada")).toEqual({ own: false, other: false });
    const values = "config.log.level=warn,rbac.aggregateToAdmin=true";
    await helm("upgrade", older, "--set", values);
    await eventually("admin has the rule", async () => (await mayDelete("ada")).own);
    expect(await mayDelete("ada")).toEqual({ own: true, other: false });
    expect(await mayDelete("edgar")).toEqual({ own: false, other: false });
    expect(await can("ada", "update", "pvr", "shop")).toBe(false);
  });

  test("an upgrade from an older version changes what it says, and no report", async () => {
    expect(await readLevel()).toBe("warn");
    await helm("upgrade", CHART, "--set", "config.log.level=debug");
    expect(await readLevel()).toBe("debug");
    expect(await readReports()).toEqual(before);
  });

  test("a rollback takes the upgrade back, and no report", async () => {
    await cluster.helm(["rollback", RELEASE, "1", "-n", NAMESPACE]);
    expect(await readLevel()).toBe("warn");
    expect(await readReports()).toEqual(before);
  });

  test("uninstall leaves the CRDs and every report, says so, and leaves nothing else", async () => {
    const said = await helm("uninstall", undefined);
    expect(said).toContain("kept due to the resource policy");
    expect(said).toContain("policyviolationreports.reports.kubearmor.com");
    expect(await listObjects()).toEqual(CRDS);
    expect(await readReports()).toEqual(before);
  });

  test("the next install takes over what was left", async () => {
    await helm("install", CHART);
    expect(await readReports()).toEqual(before);
    expect((await listObjects()).length).toBeGreaterThan(CRDS.length + 8);
    await helm("uninstall", undefined);
  });

  test("CRDs that helm did not install become the release's with --take-ownership", {
    timeout: DELETION_MS,
  }, async () => {
    // As a chart has them whose CRDs are in `crds/`, and as `kubectl apply` makes them.
    await cluster.kubectl(["delete", "pvr,cpvr", "-A", "--all"]);
    await cluster.kubectl(["delete", "crd", "--all", "--wait=false"]);
    const isDeleted = async () => (await cluster.kubectl(["get", "crd", "-o", "name"])) === "";
    await eventually("no CRD", isDeleted, DELETION_MS);
    const old = makeOlderChart("0.0.2", (folder) => {
      renameSync(join(folder, "files/crds"), join(folder, "crds"));
      rmSync(join(folder, "templates/crds.yaml"));
      // Reads a CRD in `files/crds`; charts with `crds/` had no such policy.
      rmSync(join(folder, "templates/admission-policy.yaml"));
    });
    await helm("install", old);
    await writeReport("shop", "block-shell");
    const kept = await readReports();
    await expect(helm("upgrade", CHART)).rejects.toThrow("invalid ownership metadata");
    await helm("upgrade", CHART, "--take-ownership");
    expect(await readReports()).toEqual(kept);
    await helm("uninstall", undefined);
    expect(await readReports()).toEqual(kept);
  });

  test("with crds.keep=false, uninstall deletes the reports as it was asked to", { timeout: DELETION_MS }, async () => {
    await helm("install", CHART, "--set", "crds.keep=false");
    expect(await helm("status", undefined)).toContain("deletes every report in the cluster");
    // Without `--wait`: with it, Helm 4 has been seen not to end within two minutes.
    await helm("uninstall", undefined);
    const isEmpty = async () => (await listObjects()).join() === "";
    await eventually("nothing is left, CRDs included", isEmpty, DELETION_MS);
    expect(await cluster.kubectl(["get", "crd", "-o", "name"])).toBe("");
  });

  test("the notes say where KubeArmor's relay is expected", async () => {
    const port = [{ name: "grpc", port: 32767 }];
    const service = (namespace: string, name: string) => ({
      apiVersion: "v1",
      kind: "Service",
      metadata: { name, namespace },
      spec: { ports: port, selector: { "kubearmor-app": "kubearmor-relay" } },
    });
    expect(await helm("install", CHART)).toContain("WARNING: there is no Service kubearmor in the namespace kubearmor");
    await cluster.apply(`${JSON.stringify(service("bank", "armor"))}\n`);
    expect(await helm("upgrade", CHART)).toContain("--set config.feed.relay.address=armor.bank.svc:32767");
    await cluster.apply(`${JSON.stringify(service(NAMESPACE, "kubearmor"))}\n`);
    expect(await helm("upgrade", CHART)).not.toContain("WARNING");
    const withOpenReports = await helm("upgrade", CHART, "--set", "config.openReports.enabled=true");
    expect(withOpenReports).toContain("WARNING: config.openReports.enabled is true");
  });
});
