// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Checks that a tag, package.json, the plugins, the chart and CHANGELOG.md have one version: `check-version.ts v0.1.0`. With
// a tag the version must have a date in CHANGELOG.md.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { readChangelogSection, releaseDate } from "./changelog.ts";
import { ROOT, releaseFacts } from "./facts.ts";

const [tag] = process.argv.slice(2);
const { version } = releaseFacts();
const chart = parse(readFileSync(join(ROOT, "charts/policy-violation-operator/Chart.yaml"), "utf8")) as {
  version: string;
  appVersion: string;
};
const readVersion = (path: string) =>
  (JSON.parse(readFileSync(join(ROOT, path), "utf8")) as { version: string }).version;
const found = {
  ...(tag === undefined ? {} : { "the tag": tag.replace(/^v/, "") }),
  "the chart's version": chart.version,
  "the chart's appVersion": chart.appVersion,
  "plugin/package.json": readVersion("plugin/package.json"),
  "headlamp/package.json": readVersion("headlamp/package.json"),
};
const wrong = Object.entries(found).filter(([, other]) => other !== version);
for (const [where, other] of wrong) {
  console.error(`error: ${where} is ${other}, package.json has ${version}: set one version in all of them`);
}
readChangelogSection(version);
const isUndated = tag !== undefined && releaseDate(version) === undefined;
if (isUndated) {
  console.error(`error: CHANGELOG.md has no date for ${version}: set "## ${version} - YYYY-MM-DD" before the tag`);
}
if (wrong.length > 0 || isUndated) process.exit(1);
console.log(`version ${version}`);
