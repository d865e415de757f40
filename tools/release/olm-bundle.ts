// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Writes the OLM bundle from the chart: dist/olm-bundle (manifests, metadata, Dockerfile) and its archive in dist/release.
// Deployment, rights and objects are those that `helm template` gives. Needs `helm` in the PATH, or HELM=/path/to/helm.

import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse, parseAllDocuments, stringify } from "yaml";
import { packArchive } from "./archive.ts";
import { readChangelogSection } from "./changelog.ts";
import { RELEASE_DIR, type ReleaseFacts, ROOT, releaseFacts } from "./facts.ts";

const NAME = "policy-violation-operator";
const CHART = join(ROOT, "charts", NAME);
/** In OLM's convention the channel of versions before the first stable one. */
const CHANNEL = "candidate";
/** OLM installs into a namespace of the user's choice and sets it itself. */
const NAMESPACE = "olm-namespace";

// biome-ignore lint/suspicious/noExplicitAny: manifests of many kinds, of which a few fields are read.
type Manifest = { kind: string; metadata: { name: string; namespace?: string }; [other: string]: any };

/** Returns the files of the bundle by their path in it. */
export function renderOlmBundle(facts: ReleaseFacts, helm = process.env["HELM"] || "helm"): Record<string, string> {
  const values = ["crds.keep=false", "prometheusRule.enabled=false", `image.repository=${facts.registry}/${NAME}`];
  const args = [
    "template",
    NAME,
    CHART,
    "--namespace",
    NAMESPACE,
    "--skip-tests",
    ...values.flatMap((each) => ["--set", each]),
  ];
  const manifests = parseAllDocuments(execFileSync(helm, args, { encoding: "utf8" }))
    .map((document) => document.toJS() as Manifest | null)
    .filter((manifest) => manifest !== null);
  const files: Record<string, string> = {
    [`manifests/${NAME}.clusterserviceversion.yaml`]: stringify(renderServiceVersion(manifests, facts), {
      lineWidth: 0,
    }),
    "metadata/annotations.yaml": stringify({ annotations: bundleAnnotations() }, { lineWidth: 0 }),
    "bundle.Dockerfile": renderDockerfile(),
  };
  for (const manifest of manifests.filter(isBundled)) {
    const { namespace: _, ...metadata } = manifest.metadata;
    const name = manifest.metadata.name.replace(`${NAMESPACE}-`, "");
    const plain = { ...manifest, metadata: { ...metadata, name } };
    files[`manifests/${name}.${manifest.kind.toLowerCase()}.yaml`] = stringify(plain, { lineWidth: 0 });
  }
  return files;
}

/** Kinds that OLM takes besides the ClusterServiceVersion; rights of the operator itself are in that. */
function isBundled({ kind, metadata }: Manifest): boolean {
  if (kind === "ClusterRole") return /-(view|edit)$/.test(metadata.name);
  if (kind === "Role" || kind === "RoleBinding") return metadata.name.endsWith("-heartbeat");
  return ["CustomResourceDefinition", "ConfigMap", "Service", "PodDisruptionBudget"].includes(kind);
}

function renderServiceVersion(manifests: readonly Manifest[], facts: ReleaseFacts): object {
  const chart = parse(readFileSync(join(CHART, "Chart.yaml"), "utf8"));
  const { version, registry, repositoryUrl } = facts;
  const image = `${registry}/${NAME}:${version}`;
  const deployment = findOne(manifests, "Deployment");
  const account = findOne(manifests, "ServiceAccount").metadata.name;
  const crds = parse(chart.annotations["artifacthub.io/crds"]) as object[];
  const rules = (kind: string, match: RegExp) =>
    manifests.filter((each) => each.kind === kind && match.test(each.metadata.name)).flatMap((each) => each["rules"]);
  return {
    apiVersion: "operators.coreos.com/v1alpha1",
    kind: "ClusterServiceVersion",
    metadata: {
      name: `${NAME}.v${version}`,
      // Platforms of the images, by which OperatorHub filters.
      labels: Object.fromEntries(
        ["arch.amd64", "arch.arm64", "os.linux"].map((name) => [`operatorframework.io/${name}`, "supported"]),
      ),
      annotations: {
        "alm-examples": JSON.stringify(
          [...parse(chart.annotations["artifacthub.io/crdsExamples"]), ...reportExamples()],
          null,
          2,
        ),
        capabilities: chart.annotations["artifacthub.io/operatorCapabilities"],
        categories: "Security,Monitoring",
        containerImage: image,
        description: chart.description,
        repository: repositoryUrl,
        support: chart.maintainers[0].name,
      },
    },
    spec: {
      displayName: "Policy Violation Operator for KubeArmor",
      description: `${chart.description}\n\n## Changes\n\n${readChangelogSection(version)}\n`,
      version,
      maturity: "alpha",
      minKubeVersion: /[0-9.]+/.exec(chart.kubeVersion)?.[0],
      keywords: chart.keywords,
      links: parse(chart.annotations["artifacthub.io/links"]),
      maintainers: [{ name: chart.maintainers[0].name, email: "policy-violation-operator@kubearmor.io" }],
      provider: { name: "KubeArmor", url: "https://kubearmor.io" },
      icon: [{ base64data: readFileSync(join(CHART, "icon.svg")).toString("base64"), mediatype: "image/svg+xml" }],
      installModes: ["OwnNamespace", "SingleNamespace", "MultiNamespace", "AllNamespaces"].map((type) => ({
        type,
        supported: type === "AllNamespaces",
      })),
      install: {
        strategy: "deployment",
        spec: {
          deployments: [{ name: NAME, spec: deployment["spec"] }],
          // The Secret for TLS to the relay is in KubeArmor's namespace, where OLM makes no Role: by name, anywhere.
          clusterPermissions: [
            {
              serviceAccountName: account,
              rules: [...rules("ClusterRole", new RegExp(`${NAME}$`)), ...rules("Role", /-relay-tls$/)],
            },
          ],
          permissions: [{ serviceAccountName: account, rules: rules("Role", new RegExp(`^${NAME}$`)) }],
        },
      },
      customresourcedefinitions: { owned: crds },
      relatedImages: [{ name: "operator", image }],
    },
  };
}

/** Reports are written by the operator; the examples show their form. */
function reportExamples(): object[] {
  const time = "2026-11-23T10:00:00.000000Z";
  const counts = { occurrences: 1, prevented: 1, allowed: 0, unknown: 0, violations: 1 };
  const body = {
    policy: { name: "no-shells", kind: "KubeArmorPolicy" },
    summary: { ...counts, workloads: 1, pods: 1, nodes: 1, severity: "medium", firstSeen: time, lastSeen: time },
    violations: [],
    coverage: { gaps: 0, throttleNotices: 0, lowerBound: false },
  };
  const apiVersion = "reports.kubearmor.com/v1alpha1";
  return [
    { apiVersion, kind: "PolicyViolationReport", metadata: { name: "no-shells", namespace: "shop" }, ...body },
    { apiVersion, kind: "ClusterPolicyViolationReport", metadata: { name: "no-shells" }, ...body },
  ];
}

function bundleAnnotations(): Record<string, string> {
  const prefix = "operators.operatorframework.io.bundle";
  return {
    [`${prefix}.mediatype.v1`]: "registry+v1",
    [`${prefix}.manifests.v1`]: "manifests/",
    [`${prefix}.metadata.v1`]: "metadata/",
    [`${prefix}.package.v1`]: NAME,
    [`${prefix}.channels.v1`]: CHANNEL,
    [`${prefix}.channel.default.v1`]: CHANNEL,
  };
}

function renderDockerfile(): string {
  const labels = Object.entries(bundleAnnotations()).map(([name, value]) => `LABEL ${name}=${value}\n`);
  return `FROM scratch\n${labels.join("")}COPY manifests /manifests/\nCOPY metadata /metadata/\n`;
}

function findOne(manifests: readonly Manifest[], kind: string): Manifest {
  const found = manifests.find((manifest) => manifest.kind === kind);
  if (found === undefined) throw new Error(`the chart makes no ${kind}`);
  return found;
}

if (import.meta.main) {
  const facts = releaseFacts();
  const outDir = join(ROOT, "dist/olm-bundle");
  rmSync(outDir, { recursive: true, force: true });
  for (const [path, text] of Object.entries(renderOlmBundle(facts))) {
    mkdirSync(join(outDir, path, ".."), { recursive: true });
    writeFileSync(join(outDir, path), text);
  }
  mkdirSync(RELEASE_DIR, { recursive: true });
  const archive = join(RELEASE_DIR, `${NAME}-olm-bundle-v${facts.version}.tar.gz`);
  packArchive(outDir, archive);
  console.log(archive);
}
