// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Ends with one clear line on a Node.js that can't run the TypeScript sources. Loaded with `--import`, before them.
// JavaScript, since an old Node.js must be able to read it.

const MIN = [22, 18];
const [major, minor] = process.versions.node.split(".").map(Number);
if (major < MIN[0] || (major === MIN[0] && minor < MIN[1])) {
  process.stderr.write(
    `error: Node.js ${process.versions.node} can't run this project: install Node.js >= ${MIN.join(".")} ` +
      "(on Linux x64 and arm64, `npm ci` brings Node.js 24)\n",
  );
  process.exit(1);
}
