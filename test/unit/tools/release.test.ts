// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The scripts of a release, as far as they need no network: notes, chart metadata, archives, krew manifest, OLM bundle.

import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { getPaths, locateParts } from "../../../tools/parts/parts.ts";
import { pinBaseImages, readBaseImages } from "../../../tools/release/base-images.ts";
import { parseChanges, readChangelogSection, releaseDate } from "../../../tools/release/changelog.ts";
import { releaseChartFile, releaseValuesFile } from "../../../tools/release/chart.ts";
import { ROOT, releaseFacts } from "../../../tools/release/facts.ts";
import { packHeadlampPlugin } from "../../../tools/release/headlamp.ts";
import { releaseNotes } from "../../../tools/release/notes.ts";
import { renderOlmBundle } from "../../../tools/release/olm-bundle.ts";
import { packPlatform, renderKrewManifest } from "../../../tools/release/plugin.ts";
import { createFolder } from "../../support/folder.ts";

const FACTS = releaseFacts({ RELEASE_REPOSITORY: "Acme/pvo" });
const CHART = join(ROOT, "charts/policy-violation-operator");
const { helm } = getPaths(locateParts(["helm"])).paths;

const folder = createFolder();

test("addresses follow the repository that releases", () => {
  expect(FACTS).toMatchObject({
    repositoryUrl: "https://github.com/Acme/pvo",
    registry: "ghcr.io/acme",
    downloadUrl: `https://github.com/Acme/pvo/releases/download/v${FACTS.version}`,
  });
  expect(releaseFacts({}).repositoryUrl).toBe("https://github.com/kubearmor/policy-violation-operator");
});

describe("the changelog", () => {
  const text = "# Changelog\n\n## [1.1.0] - x\n\n### Fixed\n- one\n  more\n- two\n\n## 1.0.0\n\n### Added\n- old\n";

  test("gives a version's section, and its entries in Artifact Hub's words", () => {
    expect(readChangelogSection("1.0.0", text)).toBe("### Added\n- old");
    expect(parseChanges(readChangelogSection("1.1.0", text))).toEqual([
      { kind: "fixed", description: "one more" },
      { kind: "fixed", description: "two" },
    ]);
    expect(() => readChangelogSection("1.2.0", text)).toThrow('CHANGELOG.md has no section "## 1.2.0"');
  });

  test("gives the date of a version, which a tag must have", () => {
    const dated = text.replace("## 1.0.0", "## 1.0.0 - 2026-01-31");
    expect([releaseDate("1.0.0", dated), releaseDate("1.0.0", text), releaseDate("1.1.0", text)]).toEqual([
      "2026-01-31",
      undefined,
      undefined,
    ]);
    const check = (...args: string[]) =>
      spawnSync(process.execPath, [join(ROOT, "tools/release/check-version.ts"), ...args]).status;
    expect(check()).toBe(0);
    expect(check(`v${FACTS.version}`)).toBe(releaseDate(FACTS.version) === undefined ? 1 : 0);
    expect(check("v99.0.0")).toBe(1);
  });

  test("has a section for the version of package.json", () => {
    expect(parseChanges(readChangelogSection(FACTS.version)).length).toBeGreaterThan(10);
  });
});

test("the chart of a release has the images, the changes and the addresses of its repository", () => {
  const text = releaseChartFile(readFileSync(join(CHART, "Chart.yaml"), "utf8"), FACTS, "### Added\n- new: one");
  const { home, icon, annotations } = parse(text);
  expect([home, icon]).toEqual([
    "https://github.com/Acme/pvo",
    `https://raw.githubusercontent.com/Acme/pvo/v${FACTS.version}/charts/policy-violation-operator/icon.svg`,
  ]);
  expect(parse(annotations["artifacthub.io/changes"])).toEqual([{ kind: "added", description: "new: one" }]);
  expect(parse(annotations["artifacthub.io/images"])[0].image).toBe(
    `ghcr.io/acme/policy-violation-operator:${FACTS.version}`,
  );
  const values = releaseValuesFile(readFileSync(join(CHART, "values.yaml"), "utf8"), FACTS);
  expect(parse(values).image.repository).toBe("ghcr.io/acme/policy-violation-operator");
  expect(parse(values).gitExport.image.repository).toBe("ghcr.io/acme/policy-violation-operator-gitops");
  expect(values).toContain("# -- ");
});

test("Chart.yaml names every CRD of the repository, with an example that has a known kind", () => {
  const { annotations } = parse(readFileSync(join(CHART, "Chart.yaml"), "utf8"));
  const crds = parse(annotations["artifacthub.io/crds"]) as { name: string; kind: string }[];
  expect(crds.map(({ name }) => `${name.split(".")[0]}.yaml`).sort()).toEqual(readdirSync(join(ROOT, "crds")).sort());
  const examples = parse(annotations["artifacthub.io/crdsExamples"]) as { kind: string }[];
  expect(examples.filter(({ kind }) => !crds.some((crd) => crd.kind === kind))).toEqual([]);
});

describe("the plugin's archives", () => {
  const executables = join(folder, "executables");
  for (const [platform, name] of [
    ["linux-amd64", "kubectl-kubearmor_violations"],
    ["darwin-arm64", "kubectl-kubearmor_violations"],
  ] as const) {
    mkdirSync(join(executables, platform), { recursive: true });
    writeFileSync(join(executables, platform, name), '#!/bin/sh\necho "called: $*"\n');
  }

  test("hold the license, and programs of both names that find the executable through a link", () => {
    const archive = packPlatform("linux-amd64", "1.0.0", executables, folder);
    const unpacked = join(folder, "unpacked");
    mkdirSync(unpacked);
    chmodSync(unpacked, 0o755);
    execFileSync("tar", ["xzpf", archive.file, "-C", unpacked]);
    // As root, tar gives a folder the mode of its entry; this one may be /usr/local/bin.
    expect(statSync(unpacked).mode & 0o777).toBe(0o755);
    expect(readdirSync(unpacked).sort()).toEqual([
      "LICENSE",
      "kubectl-kubearmor_violations",
      "kubectl-violations",
      "kubectl_complete-kubearmor_violations",
      "kubectl_complete-violations",
    ]);
    const link = join(folder, "kubectl-violations");
    execFileSync("ln", ["-s", join(unpacked, "kubectl-violations"), link]);
    expect(execFileSync(link, ["list", "a b"], { encoding: "utf8" })).toBe("called: list a b\n");
    const complete = join(unpacked, "kubectl_complete-kubearmor_violations");
    expect(execFileSync(complete, ["x"], { encoding: "utf8" })).toBe("called: __complete x\n");
    const again = packPlatform("linux-amd64", "1.0.0", executables, join(folder, "again"));
    expect(again.sha256).toBe(archive.sha256);
  });

  test("are in krew's manifest, one platform each, under the plugin's name", () => {
    const archives = ["darwin-arm64", "linux-amd64"].map((platform) =>
      packPlatform(platform, FACTS.version, executables, folder),
    );
    const { metadata, spec } = parse(renderKrewManifest(archives, FACTS));
    expect(metadata.name).toBe("kubearmor-violations");
    expect(spec.version).toBe(`v${FACTS.version}`);
    expect(spec.shortDescription.length).toBeLessThanOrEqual(50);
    expect(spec.platforms).toEqual(
      archives.map(({ os, arch, sha256 }) => ({
        selector: { matchLabels: { os, arch } },
        uri: `${FACTS.downloadUrl}/kubearmor-violations-v${FACTS.version}-${os}-${arch}.tar.gz`,
        sha256,
        bin: "kubectl-kubearmor_violations",
      })),
    );
  });
});

describe("base images", () => {
  const digest = `sha256:${"a".repeat(64)}`;

  test.each(["Dockerfile", "Dockerfile.gitops"])("of %s are pinned by digest, as build arguments", (file) => {
    const text = readFileSync(join(ROOT, file), "utf8");
    const images = readBaseImages(text);
    expect(Object.keys(images)).toEqual(["BUILD_IMAGE", "RUNTIME_IMAGE"]);
    expect(pinBaseImages(text, () => `${digest}\n`)).toEqual(
      Object.entries(images).map(([name, image]) => `${name}=${image}@${digest}`),
    );
    // An image that no argument names would stay a tag.
    const bases = [...text.matchAll(/^FROM (?:--\S+ )?(\S+)/gm)].map(([, base]) => base);
    expect(bases.filter((base) => !/^\$\{\w+_IMAGE\}$/.test(base ?? ""))).toEqual([]);
  });

  test("without a digest or an argument end the release", () => {
    expect(() => pinBaseImages("ARG A_IMAGE=b:1\n", () => "")).toThrow('invalid digest of b:1: ""');
    expect(() => pinBaseImages("FROM b\n", () => digest)).toThrow("no ARG");
  });
});

test("the archive of the Headlamp plugin has the plugin's name as its folder, and the license", () => {
  const headlamp = join(folder, "checkout/headlamp");
  mkdirSync(join(headlamp, "dist"), { recursive: true });
  for (const path of ["dist/main.js", "../LICENSE"]) writeFileSync(join(headlamp, path), "text");
  writeFileSync(join(headlamp, "package.json"), '{"name":"kubearmor-violations","version":"1.0.0"}');
  const file = packHeadlampPlugin(headlamp, folder);
  expect(execFileSync("tar", ["tzf", file], { encoding: "utf8" }).trim().split("\n")).toEqual([
    "kubearmor-violations/",
    "kubearmor-violations/LICENSE",
    "kubearmor-violations/main.js",
    "kubearmor-violations/package.json",
  ]);
});

test("the notes have the version's changes, and verify the identity of this repository's workflow alone", () => {
  const notes = releaseNotes(FACTS, "### Added\n- one");
  expect(notes).toContain("- one\n\n### Install");
  const identity = `https://github.com/Acme/pvo/.github/workflows/release.yaml@refs/tags/v${FACTS.version}`;
  expect(/--certificate-identity=(\S+)$/m.exec(notes)?.[1]).toBe(identity);
});

test.each(["ci", "release"])("the workflow %s pins its actions by commit and names their versions", (name) => {
  const text = readFileSync(join(ROOT, `.github/workflows/${name}.yaml`), "utf8");
  const actions = [...text.matchAll(/uses: (.*)$/gm)].map(([, action = ""]) => action);
  expect(actions.length).toBeGreaterThan(4);
  expect(actions.filter((action) => !/^[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/.test(action))).toEqual([]);
  // One action, one version.
  const pins = new Set(actions);
  expect(pins.size).toBe(new Set(actions.map((action) => action.split("@")[0])).size);
});

test("the workflow calls scripts that exist", () => {
  const text = readFileSync(join(ROOT, ".github/workflows/release.yaml"), "utf8");
  const scripts = text.match(/(?<=node )tools\/release\/\S+/g) ?? [];
  expect(scripts.length).toBeGreaterThan(7);
  expect(scripts.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
});

test.skipIf(helm === undefined)("the OLM bundle has the chart's Deployment, rights and CRDs", () => {
  const files = renderOlmBundle(FACTS, helm);
  const csv = parse(files["manifests/policy-violation-operator.clusterserviceversion.yaml"] ?? "");
  expect(csv.metadata.labels).toMatchObject({ "operatorframework.io/arch.arm64": "supported" });
  const { deployments, clusterPermissions, permissions } = csv.spec.install.spec;
  const [container] = deployments[0].spec.template.spec.containers;
  expect(container.image).toBe(`ghcr.io/acme/policy-violation-operator:${FACTS.version}`);
  const resources = [clusterPermissions, permissions].map((each) =>
    each[0].rules.flatMap((rule: { resources: string[] }) => rule.resources),
  );
  expect(resources[0]).toEqual(
    expect.arrayContaining(["policyviolationreports", "events", "clusterreports", "secrets"]),
  );
  expect(resources[1]).toEqual(["leases", "leases", "deployments"]);
  const owned = csv.spec.customresourcedefinitions.owned.map(({ name }: { name: string }) => name);
  for (const name of owned) expect(files).toHaveProperty([`manifests/${name}.customresourcedefinition.yaml`]);
  const examples = JSON.parse(csv.metadata.annotations["alm-examples"]) as { kind: string }[];
  expect(new Set(examples.map(({ kind }) => kind)).size).toBe(owned.length);
  expect(Object.values(files).filter((text) => text.includes("olm-namespace"))).toEqual([]);
});
