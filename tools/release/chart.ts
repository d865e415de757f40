// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Packages the chart for a release in dist/release: with the images' address, and for Artifact Hub the changes.
// Needs `helm` in the PATH, or HELM=/path/to/helm.

import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isMap, parseDocument, stringify } from "yaml";
import { parseChanges, readChangelogSection } from "./changelog.ts";
import { RELEASE_DIR, type ReleaseFacts, ROOT, releaseFacts } from "./facts.ts";

const CHART = join(ROOT, "charts/policy-violation-operator");
const PLATFORMS = ["linux/amd64", "linux/arm64"];
const IMAGES = ["policy-violation-operator", "policy-violation-operator-gitops"];

/** Sets the metadata of a release in the text of Chart.yaml. */
export function releaseChartFile(text: string, { version, repositoryUrl, registry }: ReleaseFacts, section: string) {
  const own = /https:\/\/github\.com\/[\w.-]+\/policy-violation-operator/g;
  const raw = repositoryUrl.replace("https://github.com/", "https://raw.githubusercontent.com/");
  const document = parseDocument(
    text
      .replace(own, repositoryUrl)
      .replace(/https:\/\/raw\.githubusercontent\.com\/[\w.-]+\/policy-violation-operator\/main/g, `${raw}/v${version}`)
      .replaceAll("/blob/main/", `/blob/v${version}/`)
      .replaceAll("/tree/main/", `/tree/v${version}/`),
  );
  const images = IMAGES.map((name) => ({ name, image: `${registry}/${name}:${version}`, platforms: PLATFORMS }));
  const annotations = document.get("annotations");
  if (!isMap(annotations)) throw new Error("Chart.yaml has no annotations");
  annotations.set("artifacthub.io/images", stringify(images));
  annotations.set("artifacthub.io/changes", stringify(parseChanges(section), { lineWidth: 0 }));
  annotations.set("artifacthub.io/prerelease", String(version.includes("-")));
  return document.toString({ lineWidth: 0 });
}

/** Sets the images' repositories in the text of values.yaml, whose comments stay. */
export function releaseValuesFile(text: string, { registry }: ReleaseFacts): string {
  const document = parseDocument(text);
  document.setIn(["image", "repository"], `${registry}/policy-violation-operator`);
  document.setIn(["gitExport", "image", "repository"], `${registry}/policy-violation-operator-gitops`);
  return document.toString({ lineWidth: 0 });
}

/** Packages the chart; returns what helm printed. */
export function packageChart(facts: ReleaseFacts, outDir: string, helm = process.env["HELM"] || "helm"): string {
  const work = mkdtempSync(join(tmpdir(), "pvo-chart-"));
  try {
    const copy = join(work, "policy-violation-operator");
    cpSync(CHART, copy, { recursive: true });
    const edit = (file: string, change: (text: string) => string) =>
      writeFileSync(join(copy, file), change(readFileSync(join(copy, file), "utf8")));
    edit("Chart.yaml", (text) => releaseChartFile(text, facts, readChangelogSection(facts.version)));
    edit("values.yaml", (text) => releaseValuesFile(text, facts));
    mkdirSync(outDir, { recursive: true });
    execFileSync(helm, ["lint", "--strict", copy], { stdio: ["ignore", "ignore", "inherit"] });
    return execFileSync(helm, ["package", copy, "--destination", outDir], { encoding: "utf8" });
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

if (import.meta.main) process.stdout.write(packageChart(releaseFacts(), RELEASE_DIR));
