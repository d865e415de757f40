// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Arbitrary alerts and texts: those of a small world, and those that an attacker might choose.

import fc from "fast-check";
import { type Alert, emptyAlert } from "../../src/api/alert.ts";
import { alert, formatTimeAt, hostAlert, throttleNotice } from "./gen.ts";

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
