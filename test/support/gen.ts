// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Builders of alerts, violations and options: everything a test does not name has one plain value. And runs of properties.

import fc from "fast-check";
import { type Alert, emptyAlert } from "../../src/api/alert.ts";
import type { Evidence } from "../../src/api/v1alpha1.ts";
import type { PipelineOptions } from "../../src/app/pipeline/pipeline.ts";
import { decode } from "../../src/ingest/decode.ts";
import { AlertEvidence } from "../../src/ingest/evidence/evidence.ts";
import { createRedactor, type Redact } from "../../src/ingest/evidence/redact.ts";
import type { Occurrence } from "../../src/ingest/occurrence.ts";
import type { ViolationFacts } from "../../src/ingest/violation/violation.ts";
import { type EpochUs, formatMicroTime } from "../../src/lib/time.ts";
import type { RenderOptions } from "../../src/report/render.ts";
import type { WireAlert } from "../../tools/kubearmor-node/alerts.ts";

/** 2026-11-23T10:00:00Z, where the fake clock starts too. */
export const START_MS = Date.UTC(2026, 10, 23, 10);
export const START_US: EpochUs = START_MS * 1000;

/** An instant, in milliseconds after the start, as an alert spells it. */
export function formatTimeAt(ms: number): string {
  return formatMicroTime(START_US + ms * 1000);
}

/** A blocked process in a pod with an owner. Later mods win. */
export function alert(...mods: Partial<Alert>[]): Alert {
  return Object.assign(
    emptyAlert(),
    {
      UpdatedTime: formatTimeAt(0),
      HostName: "node-1",
      NamespaceName: "shop",
      OwnerRef: "Deployment",
      OwnerName: "web",
      OwnerNamespace: "shop",
      PodName: "web-1",
      ContainerName: "app",
      ContainerID: "c0ffee",
      HostPID: 4242,
      PID: 42,
      ParentProcessName: "/bin/bash",
      ProcessName: "/usr/bin/apt",
      PolicyName: "no-package-managers",
      Severity: "5",
      Type: "MatchedPolicy",
      Source: "/bin/bash",
      Operation: "Process",
      Resource: "/usr/bin/apt update",
      Action: "Block",
      Result: "Permission denied",
    } satisfies Partial<Alert>,
    ...mods,
  );
}

/** The same as a node server sends it. */
export function wireAlert(...mods: Partial<Alert>[]): WireAlert {
  const { ATags, ...rest } = alert(...mods);
  return { ...rest, ATags: [...ATags] } as WireAlert;
}

/** A host process that touched a file. */
export function hostAlert(...mods: Partial<Alert>[]): Alert {
  return alert(
    {
      NamespaceName: "",
      OwnerRef: "",
      OwnerName: "",
      OwnerNamespace: "",
      PodName: "",
      ContainerName: "",
      ContainerID: "",
      PolicyName: "host-files",
      Type: "MatchedHostPolicy",
      Operation: "File",
      Source: "/usr/sbin/sshd -D",
      ProcessName: "/usr/sbin/sshd",
      Resource: "/etc/shadow",
      Action: "Audit",
      Result: "Passed",
    },
    ...mods,
  );
}

/** A throttle notice as the kernel path sends it. */
export function throttleNotice(...mods: Partial<Alert>[]): Alert {
  return Object.assign(
    emptyAlert(),
    {
      UpdatedTime: formatTimeAt(0),
      HostName: "node-1",
      NamespaceName: "shop",
      PodName: "web-1",
      ContainerName: "app",
      Type: "SystemEvent",
      Operation: "AlertThreshold",
      Enforcer: "BPFLSM",
      Result: "Passed",
      MaxAlertsPerSec: 10,
      DroppingAlertsInterval: 30,
    } satisfies Partial<Alert>,
    ...mods,
  );
}

const builtIn = createRedactor();

/** Everything about one alert in one place. */
export interface OneAlert extends ViolationFacts, Occurrence {
  ownUs: EpochUs | undefined;
  evidence: Evidence;
}

/** Decodes what must be a violation; arrival is an hour after the start. */
export function violation(from: Alert = alert(), redact: Redact = builtIn): OneAlert {
  const decoded = decode(from, START_US + 3_600_000_000, redact);
  if (decoded.kind !== "violation") throw new Error(`expected a violation, got ${decoded.kind}`);
  const source = new AlertEvidence(from, decoded.activity, redact);
  const evidence = source.keep(decoded.timeUs).read();
  return { ...decoded.violation, ...decoded, source, evidence };
}

export const SEVERITY = { low: 3, medium: 5, high: 7, critical: 9 };
export const LIMITS = { maxViolations: 300, maxBytes: 262_144, maxPodsPerViolation: 10 };
export const PACE = { firstWriteDelayMs: 200, minIntervalMs: 5000, maxIntervalMs: 60_000 };

/** Options for rendering, with the defaults of the configuration. */
export function renderOptions(mods: Partial<RenderOptions["limits"]> = {}): RenderOptions {
  return { limits: { ...LIMITS, ...mods }, severity: SEVERITY, continuousSinceUs: undefined };
}

export const MEMORY = {
  maxViolations: 200_000,
  limitBytes: 268_435_456,
  maxViolationsPerWorkload: 10_000,
  maxReports: 20_000,
  maxReportsPerNamespace: 2000,
};

/** A pipeline with the defaults of the configuration. */
export function createPipelineOptions(mods: Partial<PipelineOptions> = {}): PipelineOptions {
  return {
    limits: LIMITS,
    severity: SEVERITY,
    pace: PACE,
    writesPerSecond: 20,
    writeBurst: 40,
    memory: MEMORY,
    duplicates: { windowMs: 60_000, maxEntries: 50_000 },
    redaction: {},
    retention: { retentionMs: 0, sweepMs: 0 },
    gapEventMs: 60_000,
    writerId: "writer-a",
    ...mods,
  };
}

/**
 * Number of runs of a property; a failure prints its seed, and `SEED=n` repeats it. In CI the seed is that of the tree
 * (test/main.ts), else another in each run.
 */
export function runs(numRuns: number): { numRuns: number; seed?: number } {
  const seed = process.env["SEED"] ?? process.env["PROPERTY_SEED"];
  return { numRuns, ...(seed === undefined ? {} : { seed: Number(seed) }) };
}

type Arbitraries<Values extends unknown[]> = { [Index in keyof Values]: fc.Arbitrary<Values[Index]> };

/** Expects that `holds` neither throws nor returns false for `numRuns` draws; see `runs` for the seed. */
export function checkAll<Values extends [unknown, ...unknown[]]>(
  numRuns: number,
  arbitraries: Arbitraries<Values>,
  holds: (...values: Values) => unknown,
): void {
  fc.assert(
    fc.property(fc.tuple(...arbitraries), (values) => holds(...(values as Values)) !== false),
    runs(numRuns),
  );
}

export async function checkAllAsync<Values extends [unknown, ...unknown[]]>(
  numRuns: number,
  arbitraries: Arbitraries<Values>,
  holds: (...values: Values) => Promise<unknown>,
): Promise<void> {
  await fc.assert(
    fc.asyncProperty(fc.tuple(...arbitraries), async (values) => (await holds(...(values as Values))) !== false),
    runs(numRuns),
  );
}

/** Seeds of a simulation: 1 to `count`. `SEED=n` begins with another, `RUNS=n` runs more of them. */
export function listSeeds(count: number): number[] {
  const first = Number(process.env["SEED"] ?? 1);
  return Array.from({ length: Number(process.env["RUNS"] ?? count) }, (_, i) => first + i);
}

/** A number as letters: digits in names may be folded. */
export function toLetters(i: number): string {
  return i.toString(26).replace(/\d/g, (digit) => "qrstuvwxyz"[Number(digit)] ?? "");
}
