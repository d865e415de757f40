// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Reads the chart's values.yaml with its comments, and writes the chart's README.md from it.
// Invariant: what the README says of a value is the comment above it; its default is what stands there.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";

const CHART = join(import.meta.dirname, "../charts/policy-violation-operator");

/** A value that its comment describes. */
export interface ChartValue {
  /** As `--set` takes it. */
  path: string;
  about: string;
  default: unknown;
}

/** Returns every value of values.yaml above which a comment begins with `# --`, in the order of the file. */
export function chartValues(): ChartValue[] {
  const text = readFileSync(join(CHART, "values.yaml"), "utf8");
  const defaults: unknown = parse(text);
  const values: ChartValue[] = [];
  const open: { indent: number; key: string }[] = [];
  let about: string[] = [];
  for (const line of text.split("\n")) {
    const comment = /^ *# ?(.*)$/.exec(line)?.[1];
    if (comment !== undefined) {
      if (comment.startsWith("-- ")) about = [comment.slice(3)];
      else if (about.length > 0) about.push(comment);
      continue;
    }
    const [, spaces = "", key] = /^( *)([A-Za-z]\w*):/.exec(line) ?? [];
    if (key === undefined) continue;
    while ((open.at(-1)?.indent ?? -1) >= spaces.length) open.pop();
    open.push({ indent: spaces.length, key });
    if (about.length === 0) continue;
    const keys = open.map((one) => one.key);
    values.push({ path: keys.join("."), about: about.join(" "), default: valueAt(defaults, keys) });
    about = [];
  }
  return values;
}

function valueAt(values: unknown, keys: readonly string[]): unknown {
  return keys.reduce((at, key) => (at as Record<string, unknown>)[key], values);
}

function row({ path, about, default: value }: ChartValue): string {
  // The configuration has a document of its own, and its one default a row.
  const shown = path === "config" ? "see below" : value === "" ? "empty" : `\`${JSON.stringify(value)}\``;
  return `| \`${path}\` | ${shown} | ${about.replaceAll("|", "\\|")} |\n`;
}

/** Returns the text of the chart's README.md. */
export function chartReadme(): string {
  return `<!-- Written by tools/chart-values.ts from values.yaml; change it there. -->

# policy-violation-operator

KubeArmor's alert stream has no memory. This operator is the memory: it keeps one \`PolicyViolationReport\` per namespace and violated policy, and puts an Event on each offending pod.

    helm install policy-violation-operator charts/policy-violation-operator \\
      --namespace kubearmor --create-namespace --set image.repository=REGISTRY/policy-violation-operator

Install it once per cluster. It needs Kubernetes ≥ 1.31 and KubeArmor's relay; no image is published yet, so build one with the repository's \`Dockerfile\`. Step by step: \`docs/install.md\`. What an alert asks you to do: \`docs/runbook.md\`.

## What is installed

| object | for what |
|---|---|
| 3 CustomResourceDefinitions | \`policyviolationreports\` (\`pvr\`), \`clusterpolicyviolationreports\` (\`cpvr\`), \`acceptedviolations\` (\`av\`) |
| Deployment, ServiceAccount, ConfigMap | two replicas of the operator, one of which writes; their identity; their configuration (a change restarts them) |
| ClusterRole and binding | exactly the verbs that it uses: a test compares them with the API server's audit log |
| Role and binding | the Lease in the release's namespace |
| Role and binding \`…-relay-tls\` | in the namespace of KubeArmor's relay: \`get\` on the one Secret for TLS to it (\`docs/tls.md\`) |
| ClusterRole \`…-view\` | whoever may view a namespace may read its reports |
| ClusterRole \`…-edit\` | with \`rbac.aggregateToAdmin\` or \`aggregateToEdit\`: deletion of the reports of a namespace |
| PodDisruptionBudget | an eviction never takes both replicas |
| NetworkPolicy | out: DNS, the API server, the relay; in: scrapes of the metrics from the usual namespaces of Prometheus |
| Service | port 8080, \`/metrics\` |
| ServiceMonitor or PodMonitor, PrometheusRule | where the Prometheus Operator is there |
| ConfigMap \`…-dashboard\` | a dashboard for Grafana's sidecar |

The pods meet the Pod Security Standard \`restricted\`: no root, no capability, read-only root file system.

## Values

| value | default | meaning |
|---|---|---|
${chartValues().map(row).join("")}
A misspelt key, in \`config\` too, is refused with its path. Six settings are the chart's own and not to be set: \`kubeconfig\`, \`identity\`, \`metrics.address\`, \`health.address\`, \`leaderElection.leaseNamespace\`, \`journal.path\`.

## Upgrading, removing

\`helm upgrade\` upgrades the CRDs with the rest; reports stay, and the replicas hand over one after the other. With \`crds.install=false\` they are yours to apply, before the upgrade:

    kubectl apply --server-side -f charts/policy-violation-operator/files/crds/

CRDs that were applied by hand, or by a release of another name, become this release's with \`helm upgrade --install … --take-ownership\`.

\`helm uninstall\` leaves the CRDs and the reports. To delete them, too, with every report in the cluster:

    kubectl delete crd policyviolationreports.reports.kubearmor.com clusterpolicyviolationreports.reports.kubearmor.com acceptedviolations.reports.kubearmor.com
`;
}
