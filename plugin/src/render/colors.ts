// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Colours for a terminal, and only for one.

import type { Outcome, SeverityLevel } from "../../../src/api/v1alpha1.ts";

export interface Colors {
  severity(level: SeverityLevel, text: string): string;
  outcome(outcome: Outcome, text: string): string;
  dim(text: string): string;
  bold(text: string): string;
  added(text: string): string;
  removed(text: string): string;
}

const RESET = "\u001b[0m";

function paint(code: string): (text: string) => string {
  return (text) => (text === "" ? text : `\u001b[${code}m${text}${RESET}`);
}

const same = (text: string) => text;

/** Colours that are taken from the terminal's own palette, so that its theme decides; none when `isOn` is false. */
export function colors(isOn: boolean): Colors {
  if (!isOn) {
    return {
      severity: (_, text) => text,
      outcome: (_, text) => text,
      dim: same,
      bold: same,
      added: same,
      removed: same,
    };
  }
  const bySeverity: Record<SeverityLevel, (text: string) => string> = {
    critical: paint("1;31"),
    high: paint("31"),
    medium: paint("33"),
    low: paint("36"),
    info: same,
    unknown: same,
  };
  const byOutcome: Record<Outcome, (text: string) => string> = {
    Allowed: paint("31"),
    Unknown: paint("33"),
    Prevented: paint("32"),
  };
  return {
    severity: (level, text) => bySeverity[level]?.(text) ?? text,
    outcome: (outcome, text) => byOutcome[outcome]?.(text) ?? text,
    dim: paint("2"),
    bold: paint("1"),
    added: paint("32"),
    removed: paint("31"),
  };
}
