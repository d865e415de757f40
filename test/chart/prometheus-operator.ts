// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The Prometheus Operator's CRDs, so that a real API server judges the chart's ServiceMonitor, PodMonitor and rules.
// Invariant: they come from Go's module cache, checked by its checksums; nothing else of that module is used.

import { spawnSync } from "node:child_process";
import { join } from "node:path";

const MODULE = "github.com/prometheus-operator/prometheus-operator@v0.85.0";
const KINDS = ["servicemonitors", "podmonitors", "prometheusrules"];

/** Returns the paths of the CRDs, which `go` downloads once (2 MB); throws with what it said where it can't. */
export function downloadPrometheusCrds(): string[] {
  const { stdout, stderr, error } = spawnSync("go", ["mod", "download", "-json", MODULE], {
    encoding: "utf8",
    // Outside every module, so that none is changed.
    cwd: "/",
    env: { ...process.env, GOWORK: "off" },
  });
  const answer = stdout ? (JSON.parse(stdout) as { Dir?: string; Error?: string }) : {};
  if (answer.Dir === undefined) throw new Error(`no ${MODULE}: ${answer.Error ?? error?.message ?? stderr}`);
  const folder = join(answer.Dir, "example/prometheus-operator-crd");
  return KINDS.map((kind) => join(folder, `monitoring.coreos.com_${kind}.yaml`));
}
