// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Every setting there is: its name, meaning, default, unit and bounds. docs/configuration.md is written from here.
// Invariant: no setting is read that is not in this tree, and none is in it that nothing reads.

import * as z from "zod";
import { isHostPort } from "./address.ts";
import { memory } from "./memory.ts";
import { relayTls } from "./relay-tls.ts";
import { leaderElection, standby } from "./replicas.ts";
import { acceptances } from "./schema-acceptances.ts";
import { journal } from "./schema-journal.ts";
import { cluster, openReports } from "./schema-openreports.ts";
import { scale } from "./schema-scale.ts";
import { choice, section, text, textList, toggle, wholeNumber } from "./setting.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** Characters of an identity: it ends up in the Lease and in an annotation of every report. */
export const IDENTITY = /^[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$/;

const MAX_PATTERN_LENGTH = 200;

function findPatternFault(pattern: string): string | undefined {
  if (pattern.length > MAX_PATTERN_LENGTH) return `is longer than ${MAX_PATTERN_LENGTH} characters`;
  try {
    // The flags with which redaction uses it.
    if (new RegExp(pattern, "gi").test("")) return "matches the empty text, so it would match everywhere";
    return undefined;
  } catch (error) {
    // V8 repeats the pattern, which may hold a secret, in all but the last part of its message.
    const reason = String(error).split(": ").at(-1);
    return `is no regular expression: ${reason}`;
  }
}

function findNameFault(name: string): string | undefined {
  return /^[A-Za-z0-9_.-]{1,64}$/.test(name)
    ? undefined
    : "is no plain name (1 to 64 letters, digits, '_', '.' or '-'; for anything else use redaction.patterns)";
}

function createThreshold(level: string, severity: number) {
  return wholeNumber({
    about: `The lowest policy severity that is shown as ${level}.`,
    default: severity,
    min: 1,
    max: 11,
  });
}

const feed = section("Source of the alerts.", {
  mode: choice(["relay", "nodes", "auto"], {
    about:
      "The peer: `relay` is KubeArmor's relay; `nodes` is KubeArmor on every node, which needs `list` and `watch` on pods and port 32767 of the nodes; `auto` is nodes where at least one can be reached at the start, else the relay.",
    default: "relay",
  }),
  relay: section("KubeArmor's relay, which gathers the alerts of all nodes.", {
    address: text({
      about: "Address of KubeArmor's relay.",
      default: "kubearmor.kubearmor.svc:32767",
      expects: "HOST:PORT without a scheme, such as kubearmor.kubearmor.svc:32767 or [2001:db8::1]:32767",
      isValid: (value) => isHostPort(value, "dial"),
      flag: { name: "--relay-address", argument: "HOST:PORT" },
    }),
    reconnectMaxMs: wholeNumber({
      about:
        "Longest pause between two attempts to open the stream; each pause is random up to a growing limit.",
      default: 10_000,
      min: 10,
      max: 10 * MINUTE_MS,
      unit: "ms",
    }),
    healthCheckIntervalMs: wholeNumber({
      about: "Time between two calls over the same connection that check an open but quiet stream.",
      default: 30_000,
      min: 100,
      max: HOUR_MS,
      unit: "ms",
    }),
    maxMessageBytes: wholeNumber({
      about: "Largest accepted alert; a larger one ends the stream, which is then opened again.",
      default: 4_194_304,
      min: 65_536,
      max: 67_108_864,
      unit: "bytes",
    }),
    tls: relayTls,
  }),
});

const reports = section("Size and write rate of reports.", {
  maxViolations: wholeNumber({
    about:
      "Violations listed in one report; what is cut stays in its summary and is counted under `omitted`.",
    default: 300,
    min: 1,
    max: 1000,
    unit: "violations",
  }),
  maxBytes: wholeNumber({
    about: "Size of one report as JSON; violations are cut until it fits.",
    default: 262_144,
    min: 32_768,
    max: 1_048_576,
    unit: "bytes",
  }),
  maxPodsPerViolation: wholeNumber({
    about: "Pods named under one violation, the most recent first.",
    default: 10,
    min: 1,
    max: 100,
    unit: "pods",
  }),
  firstWriteDelayMs: wholeNumber({
    about:
      "Delay of the first write of a new violation, so that alerts that follow it are in the same write.",
    default: 200,
    min: 0,
    max: 1000,
    unit: "ms",
  }),
  minIntervalMs: wholeNumber({
    about: "Shortest time between two writes of one report.",
    default: 5000,
    min: 100,
    max: HOUR_MS,
    unit: "ms",
  }),
  maxIntervalMs: wholeNumber({
    about:
      "Longest time that a changed report stays unwritten; the pace stretches to it while only counters move.",
    default: MINUTE_MS,
    min: 100,
    max: HOUR_MS,
    unit: "ms",
  }),
  retentionMs: wholeNumber({
    about:
      "Time for which a violation that is not seen again stays in its report, by its `lastSeen`; a report with none left " +
      "is deleted. 0 keeps everything. `replay` and `demo` keep everything.",
    default: 30 * 24 * HOUR_MS,
    min: 0,
    max: 10 * 365 * 24 * HOUR_MS,
    unit: "ms",
  }),
  retentionSweepMs: wholeNumber({
    about: "Time between two sweeps for expired violations; the first is one interval after the start.",
    default: HOUR_MS,
    min: 100,
    max: 24 * HOUR_MS,
    unit: "ms",
  }),
  writesPerSecond: wholeNumber({
    about: "Report writes a second, over all reports.",
    default: 20,
    min: 1,
    max: 1000,
    unit: "writes",
  }),
  writeBurst: wholeNumber({
    about: "Report writes that may follow each other at once after a quiet time.",
    default: 40,
    min: 1,
    max: 10_000,
    unit: "writes",
  }),
  writeTimeoutMs: wholeNumber({
    about: "Longest time of one write; after that a read shows if it happened.",
    default: 30_000,
    min: 100,
    max: 5 * MINUTE_MS,
    unit: "ms",
  }),
});

const severity = section(
  "Names of a policy's severity (1 to 10, 10 is worst). Below `low` it is info; without a severity it is unknown.",
  {
    thresholds: section("The lowest policy severity of each word; 11 means never.", {
      low: createThreshold("low", 3),
      medium: createThreshold("medium", 5),
      high: createThreshold("high", 7),
      critical: createThreshold("critical", 9),
    }),
  },
);

const redaction = section("Redaction of command lines, in addition to the built-in rules.", {
  patterns: textList({
    about: "Regular expressions (JavaScript, case ignored); what one matches is hidden.",
    expects: "a list of regular expressions",
    maxItems: 100,
    sensitive: true,
    fault: findPatternFault,
  }),
  names: textList({
    about: "Names of options and keys that have a secret as value: `pin` hides `--pin 1234` and `pin=1234`.",
    expects: "a list of names",
    maxItems: 100,
    fault: findNameFault,
  }),
});

const events = section("Kubernetes Events on the pods and nodes that alerts are about.", {
  enabled: toggle({ about: "Sends Events.", default: true }),
  defaultPosture: toggle({
    about: "Sends Events for alerts of KubeArmor's default posture, which no policy names, too.",
    default: false,
  }),
  minGapMs: wholeNumber({
    about:
      "Length of a gap in the alert stream at which an Event on the operator's own Deployment reports it.",
    default: MINUTE_MS,
    min: 100,
    max: 24 * HOUR_MS,
    unit: "ms",
  }),
  perObjectBurst: wholeNumber({
    about: "New Events about one pod or node that may follow each other at once.",
    default: 25,
    min: 1,
    max: 1000,
    unit: "Events",
  }),
  perObjectIntervalMs: wholeNumber({
    about: "After that burst, one new Event about the same pod or node in this time.",
    default: 30_000,
    min: 100,
    max: HOUR_MS,
    unit: "ms",
  }),
  perSecond: wholeNumber({
    about: "Events created or updated a second, over all objects.",
    default: 10,
    min: 1,
    max: 1000,
    unit: "Events",
  }),
  burst: wholeNumber({
    about: "Events that may follow each other at once after a quiet time, over all objects.",
    default: 50,
    min: 1,
    max: 10_000,
    unit: "Events",
  }),
  maxQueued: wholeNumber({
    about: "New Events that wait to be sent; what does not fit is lost and counted.",
    default: 1000,
    min: 1,
    max: 100_000,
    unit: "Events",
  }),
  maxSeries: wholeNumber({
    about: "Events remembered so that repeats update them; the one silent for longest is evicted first.",
    default: 4096,
    min: 1,
    max: 1_000_000,
    unit: "Events",
  }),
});

/** The whole configuration as a tree of sections and settings. */
export const configSchema = z.object({
  kubeconfig: text({
    about: "The kubeconfig file. Empty: `$KUBECONFIG`, then the pod's own account, then `~/.kube/config`.",
    default: "",
    expects: "the path of a file, or empty",
    isValid: (value) => value.length <= 4096 && !value.includes("\0"),
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
      about:
        "Reports that have metrics of their own, four series each; those beyond share one bucket, `_other`.",
      default: 1000,
      min: 0,
      max: 100_000,
      unit: "reports",
    }),
  }),
  health: section(
    "The HTTP server for probes, apart from the metrics: a flood of scrapes must not fail a probe.",
    {
      address: text({
        about: "Address of `/healthz` and `/readyz`.",
        default: ":8081",
        expects:
          "HOST:PORT or :PORT, such as :8081, 127.0.0.1:8081 or [::1]:8081 (port 0 takes any free one)",
        isValid: (value) => isHostPort(value, "listen"),
        flag: { name: "--health-address", argument: "HOST:PORT" },
      }),
    },
  ),
  log: section("The log, one JSON object a line on standard output.", {
    level: choice(["debug", "info", "warn", "error"], {
      about: "The least important lines that are written: debug, info, warn or error.",
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
