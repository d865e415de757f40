// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Ends with one clear line on a Node.js that can't run the TypeScript sources, or where their packages are not installed.
// Loaded with `--import`, before them.
// JavaScript, since an old Node.js must be able to read it.

import { existsSync } from "node:fs";

const MIN = [22, 18];
const [major, minor] = process.versions.node.split(".").map(Number);
if (major < MIN[0] || (major === MIN[0] && minor < MIN[1])) {
  process.stderr.write(
    `error: Node.js ${process.versions.node} can't run this project: install Node.js >= ${MIN.join(".")} ` +
      "(on Linux x64 and arm64, `npm ci` brings Node.js 24)\n",
  );
  process.exit(1);
}
if (!existsSync(new URL("../node_modules", import.meta.url))) {
  process.stderr.write("error: the packages of this project are not installed: run `npm ci`\n");
  process.exit(1);
}
