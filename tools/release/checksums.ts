// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Writes dist/release/SHA256SUMS over every other file there, in the form of sha256sum.

import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { RELEASE_DIR } from "./facts.ts";

const names = readdirSync(RELEASE_DIR).filter((name) => name !== "SHA256SUMS");
const lines = names.sort().map((name) => {
  const hash = createHash("sha256")
    .update(readFileSync(join(RELEASE_DIR, name)))
    .digest("hex");
  return `${hash}  ${name}\n`;
});
writeFileSync(join(RELEASE_DIR, "SHA256SUMS"), lines.join(""));
process.stdout.write(lines.join(""));
