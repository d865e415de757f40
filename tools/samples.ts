// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The sample alerts, and what their reports must say, written out by hand from the alerts and the rules.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseJsonAlert } from "../src/alerts/decoding/json-decoder.ts";
import type { Alert } from "../src/api/alert.ts";

/** The file with the 26 samples. */
export const SAMPLES_PATH = join(import.meta.dirname, "../samples/alerts.jsonl");

/** The samples as the operator takes them in. */
export function readSampleAlerts(): Alert[] {
  return readFileSync(SAMPLES_PATH, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line, i) => {
      const alert = parseJsonAlert(JSON.parse(line));
      if (!alert) throw new Error(`sample ${i + 1} is not an alert`);
      return alert;
    });
}

/** namespace ("" is the cluster report), name, occurrences, prevented, allowed, violations, workloads, pods, nodes, severity. */
export type SampleRow = [string, string, number, number, number, number, number, number, number, string];

/** One row per report; the throttle notice (line 23) is in none. */
export const SAMPLE_REPORTS: readonly SampleRow[] = [
  ["", "default-posture", 2, 2, 0, 2, 1, 0, 1, "unknown"],
  ["", "file-integrity-monitoring", 1, 1, 0, 1, 1, 1, 1, "info"],
  ["", "hsp-block-keybd", 1, 1, 0, 1, 1, 0, 1, "medium"],
  ["", "networklimit", 1, 0, 1, 1, 1, 0, 1, "unknown"],
  ["", "nsp-ingress-audit-ssh", 1, 0, 1, 1, 1, 0, 1, "medium"],
  ["", "sleep-deny", 1, 1, 0, 1, 1, 0, 1, "medium"],
  ["default", "audit-all-unlink", 1, 0, 1, 1, 1, 1, 1, "low"],
  ["default", "audit-etc-nginx-access", 1, 0, 1, 1, 1, 1, 1, "info"],
  ["default", "block-pkg-mgmt-tools-exec", 2, 1, 1, 2, 2, 2, 2, "info"],
  ["default", "ksp-vault-network", 1, 0, 1, 1, 1, 1, 1, "high"],
  ["default", "preset-proc-env", 1, 1, 0, 1, 1, 1, 1, "unknown"],
  ["multiubuntu", "block-dns-query-to-google-subdomains", 1, 1, 0, 1, 1, 1, 1, "critical"],
  ["multiubuntu", "ksp-group-1-proc-path-block", 1, 1, 0, 1, 1, 1, 1, "medium"],
  ["multiubuntu", "ksp-ubuntu-1-allow-proc-args", 1, 1, 0, 1, 1, 1, 1, "medium"],
  ["multiubuntu", "ksp-ubuntu-1-cap-net-raw-block", 1, 1, 0, 1, 1, 1, 1, "info"],
  ["multiubuntu", "quota-test-policy", 1, 1, 0, 1, 1, 1, 1, "unknown"],
  ["my-ext-secret", "nginx-secret", 1, 1, 0, 1, 1, 1, 1, "info"],
  ["wordpress-mysql", "default-posture", 1, 1, 0, 1, 1, 1, 1, "unknown"],
  ["wordpress-mysql", "harden-mysql-trusted-cert-mod", 1, 1, 0, 1, 1, 1, 1, "info"],
  ["wordpress-mysql", "harden-wordpress-file-integrity-monitoring", 1, 1, 0, 1, 1, 1, 1, "info"],
  ["wordpress-mysql", "harden-wordpress-pkg-mngr-exec", 1, 1, 0, 1, 1, 1, 1, "medium"],
  ["wordpress-mysql", "harden-wordpress-remote-file-copy", 1, 1, 0, 1, 1, 1, 1, "medium"],
  ["wordpress-mysql", "ksp-block-exec-inside-tmp", 1, 1, 0, 1, 1, 1, 1, "info"],
];
