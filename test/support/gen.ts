// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Builders and arbitraries: alerts, violations, options. Everything a test does not name has one plain value.

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

/** Lets a failed property print only what the alert holds. */
function abbreviate(alert: Alert): Alert {
  const print = () => {
    const held = Object.entries(alert).filter(([, v]) => v !== "" && v !== 0 && String(v) !== "");
    return JSON.stringify(Object.fromEntries(held)).slice(0, 2000);
  };
  return Object.defineProperty(alert, fc.toStringMethod, { value: print, enumerable: false });
}

/** Alerts of a small world, so that violations, pods, times and duplicates meet often. */
export function generateWorldAlert(): fc.Arbitrary<Alert> {
  return fc
    .record({
      namespace: fc.constantFrom("shop", "bank", "", "container_namespace"),
      pod: fc.constantFrom("web-1", "web-2", "db-0"),
      node: fc.constantFrom("node-1", "node-2"),
      policy: fc.constantFrom("p1", "p2", "DefaultPosture"),
      operation: fc.constantFrom("Process", "File", "Network"),
      result: fc.constantFrom("Passed", "Permission denied", ""),
      resource: fc.constantFrom("/usr/bin/apt", "/etc/shadow", "/proc/17/maps", "/proc/9/maps"),
      ms: fc.integer({ min: 0, max: 20 }),
      hostPid: fc.integer({ min: 1, max: 3 }),
      severity: fc.constantFrom("", "2", "9"),
      message: fc.constantFrom("", "stop it", "not allowed"),
      tags: fc.constantFrom("", "NIST", "NIST,CIS"),
    })
    .map((w) => {
      const base = w.namespace === "" ? hostAlert : alert;
      return base({
        ...(w.namespace === "" ? {} : { NamespaceName: w.namespace, OwnerNamespace: w.namespace }),
        ...(w.namespace === "" ? {} : { PodName: w.pod }),
        HostName: w.node,
        PolicyName: w.policy,
        Operation: w.operation,
        Result: w.result,
        Resource: w.resource,
        UpdatedTime: formatTimeAt(w.ms),
        HostPID: w.hostPid,
        Severity: w.severity,
        Message: w.message,
        Tags: w.tags,
      });
    })
    .map(abbreviate);
}

/** A notice that throttles one of the world's pods or nodes. */
export function generateWorldNotice(): fc.Arbitrary<Alert> {
  return fc
    .record({
      namespace: fc.constantFrom("shop", "bank", "", "container_namespace"),
      pod: fc.constantFrom("web-1", "db-0", ""),
      node: fc.constantFrom("node-1", "node-2"),
    })
    .map(({ namespace, pod, node }) =>
      throttleNotice({ NamespaceName: namespace, PodName: namespace === "" ? "" : pod, HostName: node }),
    )
    .map(abbreviate);
}

/** Text that an attacker might choose: controls, escapes, bidi, half surrogates, markup, prototype keys, huge. */
export function generateHostileText(): fc.Arbitrary<string> {
  return fc.oneof(
    { arbitrary: fc.constantFrom(...NASTY_TEXTS), weight: 3 },
    { arbitrary: fc.string({ unit: "binary", maxLength: 40 }), weight: 3 },
    {
      arbitrary: fc
        .array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 30 })
        .map((units) => String.fromCharCode(...units)),
      weight: 2,
    },
    { arbitrary: fc.string({ maxLength: 20 }), weight: 2 },
    {
      arbitrary: fc
        .tuple(fc.constantFrom("a", "é", "💥", "\ud800", " ", "\t", "/1", "a=", "\u202e"), fc.constantFrom(600, 5000))
        .map(([unit, times]) => unit.repeat(times)),
      weight: 1,
    },
  );
}

/** Texts that a program may take for something else. */
export const NASTY_TEXTS: readonly string[] = [
  "",
  " ",
  "\0",
  "\x1b[2J\x1b]0;owned\x07",
  "\x9b31m",
  "\u202egnp.exe",
  "\u2066\u200b\ufeff",
  "\ud83d",
  "__proto__",
  "constructor",
  "toString",
  "../../etc/passwd",
  "../x",
  "kube-system",
  "default-posture",
  "DefaultPosture",
  "Unknown",
  "container_namespace",
  "AlertThreshold",
  "Process",
  "Network",
  "Passed",
  "MatchedPolicy",
  "- a: &x [*x]\n---\n!!js/function",
  "<script>alert(1)</script>",
  "[click](javascript:x)",
  "${jndi:ldap://x}",
  "%00%0a",
  "x".repeat(300),
  "X".repeat(300),
  "token=hunter2",
  "a=1 b=2 sin_port=40000 fd=7",
];

const ODD_NUMBERS = [
  0,
  1,
  -1,
  -2,
  1.5,
  2 ** 31 - 1,
  2 ** 31,
  -(2 ** 31),
  2 ** 32,
  2 ** 53,
  1e300,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
];

/** An alert in which anything may hold anything of its type. */
export function generateHostileAlert(): fc.Arbitrary<Alert> {
  const text = generateHostileText();
  const model: Record<string, fc.Arbitrary<unknown>> = {};
  for (const [name, value] of Object.entries(emptyAlert())) {
    if (typeof value === "string") model[name] = text;
    else if (typeof value === "number")
      model[name] = fc.oneof(fc.constantFrom(...ODD_NUMBERS), fc.integer(), fc.double());
    else model[name] = fc.array(text, { maxLength: 80 });
  }
  model["UpdatedTime"] = fc.oneof(text, fc.integer({ min: 0, max: 1000 }).map(formatTimeAt), generateOddTime());
  return (fc.record(model) as unknown as fc.Arbitrary<Alert>).map(abbreviate);
}

function generateOddTime(): fc.Arbitrary<string> {
  const two = fc.integer({ min: 0, max: 99 }).map((n) => String(n).padStart(2, "0"));
  return fc
    .tuple(fc.integer({ min: 0, max: 9999 }), two, two, two, two, two, fc.constantFrom("Z", "", "+99:99", "-14:00"))
    .map(([y, mo, d, h, mi, s, zone]) => `${String(y).padStart(4, "0")}-${mo}-${d}T${h}:${mi}:${s}${zone}`);
}

/** A number as letters: digits in names may be folded. */
export function toLetters(i: number): string {
  return i.toString(26).replace(/\d/g, (digit) => "qrstuvwxyz"[Number(digit)] ?? "");
}
