// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Every setting there is: its name, meaning, default, unit and bounds. docs/configuration.md is written from here.
// Invariant: no setting is read that is not in this tree, and none is in it that nothing reads.

import * as z from "zod";
import { HOUR_MS, MINUTE_MS } from "../../lib/time.ts";
import { isHostPort } from "./address.ts";
import { acceptances } from "./schema-acceptances.ts";
import { events } from "./schema-events.ts";
import { feed } from "./schema-feed.ts";
import { cluster, openReports } from "./schema-openreports.ts";
import { redaction } from "./schema-redaction.ts";
import { leaderElection, standby } from "./schema-replicas.ts";
import { reports, severity } from "./schema-reports.ts";
import { scale } from "./schema-scale.ts";
import { choice, path, section, text, wholeNumber } from "./setting.ts";

/** Characters of an identity: it ends up in the Lease and in an annotation of every report. */
export const IDENTITY = /^[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$/;

const journal = section(
  "Storage in which counts that are not persisted in a report yet outlive the process. A restart continues them; without it a crash loses them.",
  {
    path: path({
      about:
        "The journal's file, on a volume of this replica alone; its directory must exist. Empty: no journal is kept.",
      default: "",
    }),
    maxBytes: wholeNumber({
      about:
        "Size of the journal; the volume should have twice that. A full journal takes no new counts until there is room.",
      default: 268_435_456,
      min: 1_048_576,
      max: 17_179_869_184,
      unit: "bytes",
    }),
    batchIntervalMs: wholeNumber({
      about: "Time between two batches, and so what a crash may lose; it grows to 200ms while batches take long.",
      default: 50,
      min: 5,
      max: 10_000,
      unit: "ms",
    }),
  },
);

const memory = section("Bounds on what is held in memory.", {
  maxViolations: wholeNumber({
    about:
      "Distinct violations held over all reports. At this number the workload that holds the most evicts half of " +
      "its violations, at most 256 of about 1,000 that are compared at a time, prevented before allowed ones, the " +
      "least recent first: their counts stay in the summary and in `omitted`.",
    default: 200_000,
    min: 100,
    max: 10_000_000,
    unit: "violations",
  }),
  limitBytes: wholeNumber({
    about:
      "Estimated size of these violations; at this size the same happens. Lowered to half of what the heap " +
      "has beyond 96 MiB, where that is less: V8's heap is about half of a container's memory.",
    default: 268_435_456,
    min: 1_048_576,
    max: 68_719_476_736,
    unit: "bytes",
  }),
  maxViolationsPerWorkload: wholeNumber({
    about: "Distinct violations that one workload holds in one report; at this number some are evicted, as above.",
    default: 10_000,
    min: 10,
    max: 10_000_000,
    unit: "violations",
  }),
  maxReports: wholeNumber({
    about: "Reports held; an alert that would begin another one is rejected (`too_many_reports`).",
    default: 20_000,
    min: 10,
    max: 1_000_000,
    unit: "reports",
  }),
  maxReportsPerNamespace: wholeNumber({
    about:
      "Of these, reports of one namespace, or of the cluster; an alert that would begin another one is rejected " +
      "(`too_many_reports_in_namespace`).",
    default: 2000,
    min: 1,
    max: 1_000_000,
    unit: "reports",
  }),
});

/** The whole configuration as a tree of sections and settings. */
export const configSchema = z.object({
  kubeconfig: path({
    about: "The kubeconfig file. Empty: `$KUBECONFIG`, then the pod's own account, then `~/.kube/config`.",
    default: "",
    flag: { name: "--kubeconfig", argument: "FILE" },
  }),
  identity: text({
    about: "The name of this replica in the Lease and in its writes; no two replicas may share it.",
    defaultText: "`$POD_NAME`, else the host's name and a random part",
    expects: "a name of at most 253 letters, digits, '-', '_' and '.', with a letter or digit at both ends",
    isValid: (value) => IDENTITY.test(value),
  }),
  cluster,
  feed,
  memory,
  duplicates: section("Detection of alerts that are delivered twice.", {
    windowMs: wholeNumber({
      about: "Shortest time for which an alert is remembered, up to maxEntries alerts.",
      default: MINUTE_MS,
      min: 1,
      max: HOUR_MS,
      unit: "ms",
    }),
    maxEntries: wholeNumber({
      about: "Number of remembered alerts; at this number the older half is dropped.",
      default: 50_000,
      min: 1,
      max: 10_000_000,
      unit: "alerts",
    }),
  }),
  reports,
  journal,
  severity,
  redaction,
  acceptances,
  events,
  openReports,
  leaderElection,
  standby,
  scale,
  metrics: section("The HTTP server for metrics.", {
    address: text({
      about: "Address of `/metrics`.",
      default: ":8080",
      expects: "HOST:PORT or :PORT, such as :8080, 127.0.0.1:8080 or [::1]:8080 (port 0 takes any free one)",
      isValid: (value) => isHostPort(value, "listen"),
      flag: { name: "--metrics-address", argument: "HOST:PORT" },
    }),
    maxReportSeries: wholeNumber({
      about: "Reports that have metrics of their own, four series each; those beyond share one bucket, `_other`.",
      default: 1000,
      min: 0,
      max: 100_000,
      unit: "reports",
    }),
  }),
  health: section("The HTTP server for probes, apart from the metrics: a flood of scrapes must not fail a probe.", {
    address: text({
      about: "Address of `/healthz` and `/readyz`.",
      default: ":8081",
      expects: "HOST:PORT or :PORT, such as :8081, 127.0.0.1:8081 or [::1]:8081 (port 0 takes any free one)",
      isValid: (value) => isHostPort(value, "listen"),
      flag: { name: "--health-address", argument: "HOST:PORT" },
    }),
  }),
  log: section("The log, one JSON object a line on standard output.", {
    level: choice(["debug", "info", "warn", "error"], {
      about: "Minimum level of the log: debug, info, warn or error.",
      default: "info",
      flag: { name: "--log-level", argument: "LEVEL" },
    }),
  }),
  shutdown: section("Shutdown of the program.", {
    graceMs: wholeNumber({
      about:
        "Longest time of a shutdown to write pending reports; keep it below the pod's terminationGracePeriodSeconds.",
      default: 20_000,
      min: 0,
      max: 10 * MINUTE_MS,
      unit: "ms",
    }),
  }),
});
