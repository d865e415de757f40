// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Numbers, nouns and names in sentences and tables.

import type { Workload } from "../../../src/api/v1alpha1.ts";

/** `1 pod`, `2,000 pods`. */
export function formatCount(n: number, noun: string): string {
  return `${formatNumber(n)} ${plural(n, noun)}`;
}

/** `pod` for 1, else `pods`. */
export function plural(n: number, noun: string): string {
  if (n === 1) return noun;
  return /[^aeiou]y$/.test(noun) ? `${noun.slice(0, -1)}ies` : `${noun}s`;
}

/** `2,000`. */
export function formatNumber(n: number): string {
  return n.toLocaleString("en");
}

/** Makes a sentence of a clause: a capital letter in front, a stop at the end. */
export function formatSentence(clause: string): string {
  const text = clause.trim();
  if (text === "") return "";
  const head = text[0]?.toUpperCase() ?? "";
  return `${head}${text.slice(1)}${/[.!?…]$/.test(text) ? "" : "."}`;
}

/** Kinds as kubectl abbreviates them. */
const SHORT_KINDS: Readonly<Record<string, string>> = {
  CronJob: "cj",
  DaemonSet: "ds",
  Deployment: "deploy",
  Node: "node",
  Pod: "pod",
  ReplicaSet: "rs",
  ReplicationController: "rc",
  StatefulSet: "sts",
};

/** `deploy/web`. */
export function formatWorkload({ kind, name }: Workload): string {
  return `${SHORT_KINDS[kind] ?? kind.toLowerCase()}/${name}`;
}
