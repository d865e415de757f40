// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Checks that a tag, package.json, the plugin, the chart and CHANGELOG.md have one version: `check-version.ts v0.1.0`.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { changelogSection } from "./changelog.ts";
import { ROOT, releaseFacts } from "./facts.ts";

const [tag] = process.argv.slice(2);
const { version } = releaseFacts();
const chart = parse(readFileSync(join(ROOT, "charts/policy-violation-operator/Chart.yaml"), "utf8")) as {
  version: string;
  appVersion: string;
};
const plugin = JSON.parse(readFileSync(join(ROOT, "plugin/package.json"), "utf8")) as { version: string };
const found = {
  ...(tag === undefined ? {} : { "the tag": tag.replace(/^v/, "") }),
  "the chart's version": chart.version,
  "the chart's appVersion": chart.appVersion,
  "plugin/package.json": plugin.version,
};
const wrong = Object.entries(found).filter(([, other]) => other !== version);
for (const [where, other] of wrong) {
  console.error(`error: ${where} is ${other}, package.json has ${version}: set one version in all of them`);
}
changelogSection(version);
if (wrong.length > 0) process.exit(1);
console.log(`version ${version}`);
