// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Colors for a terminal, from its own palette, so that its theme decides.

import { styleText } from "node:util";
import type { Outcome, SeverityLevel } from "../../../src/api/v1alpha1.ts";

export interface Colors {
  severity(level: SeverityLevel, text: string): string;
  outcome(outcome: Outcome, text: string): string;
  bold(text: string): string;
  dim(text: string): string;
  added(text: string): string;
  removed(text: string): string;
}

type Style = Parameters<typeof styleText>[0];

const BY_SEVERITY: Readonly<Record<SeverityLevel, Style>> = {
  critical: ["bold", "red"],
  high: "red",
  medium: "yellow",
  low: "cyan",
  info: [],
  unknown: [],
};

const BY_OUTCOME: Readonly<Record<Outcome, Style>> = { Allowed: "red", Unknown: "yellow", Prevented: "green" };

/** Returns colors, or none when `isOn` is false. */
export function createColors(isOn: boolean): Colors {
  // The terminal decided already: styleText would look at this process's own streams.
  const paint = (style: Style, text: string) =>
    isOn && text !== "" ? styleText(style, text, { validateStream: false }) : text;
  return {
    severity: (level, text) => paint(BY_SEVERITY[level], text),
    outcome: (outcome, text) => paint(BY_OUTCOME[outcome], text),
    bold: (text) => paint("bold", text),
    dim: (text) => paint("dim", text),
    added: (text) => paint("green", text),
    removed: (text) => paint("red", text),
  };
}
