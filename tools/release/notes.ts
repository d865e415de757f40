// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Writes the release notes from CHANGELOG.md to dist/release-notes.md.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { changelogSection } from "./changelog.ts";
import { ROOT, releaseFacts } from "./facts.ts";

const { version, registry, downloadUrl } = releaseFacts();
const text = `${changelogSection(version)}

### Install

    helm install policy-violation-operator oci://${registry}/charts/policy-violation-operator --version ${version} \\
      --namespace kubearmor --create-namespace
    kubectl krew install --manifest-url=${downloadUrl}/kubearmor-violations.yaml

### Verify

Images and chart are signed with the identity of the release workflow, and have an SBOM and SLSA provenance:

    cosign verify ${registry}/policy-violation-operator:${version} \\
      --certificate-oidc-issuer=https://token.actions.githubusercontent.com \\
      --certificate-identity-regexp='^https://github.com/.*/.github/workflows/release.yaml@refs/tags/v${version}$'
    sha256sum --check --ignore-missing SHA256SUMS
`;
const file = join(ROOT, "dist/release-notes.md");
mkdirSync(join(ROOT, "dist"), { recursive: true });
writeFileSync(file, text);
console.log(file);
