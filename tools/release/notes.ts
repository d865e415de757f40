// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Writes the release notes from CHANGELOG.md to dist/release-notes.md.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readChangelogSection } from "./changelog.ts";
import { type ReleaseFacts, ROOT, releaseFacts } from "./facts.ts";

/** Returns the version's changes, and how to install and verify it. */
export function releaseNotes({ version, registry, repositoryUrl, downloadUrl }: ReleaseFacts, section: string): string {
  return `${section}

### Install

    helm install policy-violation-operator oci://${registry}/charts/policy-violation-operator --version ${version} \\
      --namespace kubearmor --create-namespace
    kubectl krew install --manifest-url=${downloadUrl}/kubearmor-violations.yaml

### Verify

Images and chart are signed with the identity of the release workflow, and have an SBOM and SLSA provenance:

    cosign verify ${registry}/policy-violation-operator:${version} \\
      --certificate-oidc-issuer=https://token.actions.githubusercontent.com \\
      --certificate-identity=${repositoryUrl}/.github/workflows/release.yaml@refs/tags/v${version}
    sha256sum --check --ignore-missing SHA256SUMS
`;
}

if (import.meta.main) {
  const facts = releaseFacts();
  const file = join(ROOT, "dist/release-notes.md");
  mkdirSync(join(ROOT, "dist"), { recursive: true });
  writeFileSync(file, releaseNotes(facts, readChangelogSection(facts.version)));
  console.log(file);
}
