// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Input and result of a scenario of the benchmark.

import type { Cluster } from "../../tools/cluster/cluster.ts";

/** One line of the table of results. */
export interface Row {
  /** Name of the figure; the key of its reason in reasons.json. */
  readonly figure: string;
  readonly against: string;
  readonly aim: string;
  readonly measured: string;
  /** Undefined where the figure is only shown. */
  readonly met: boolean | undefined;
}

/** A table of its own for a scenario with more than its rows. */
export interface Detail {
  readonly head: readonly string[];
  readonly lines: readonly (readonly string[])[];
}

export interface Findings {
  readonly rows: readonly Row[];
  readonly details?: readonly Detail[];
}

/** Parts that all scenarios share; the costly parts are made when they are first asked for. */
export interface Bench {
  /** Smaller counts, so that the whole run takes at most two minutes. */
  readonly quick: boolean;
  /** The path of the alert source's program. */
  readonly program: string;
  /** A folder for what is only needed in this run. */
  readonly dir: string;
  /** A real control plane with our CRDs; rejects with `Skipped` where there can be none. */
  readonly cluster: () => Promise<Cluster>;
  /** The path of the bundle, as the image runs it. */
  readonly bundle: () => Promise<string>;
  /** Takes a line for people. */
  readonly log: (line: string) => void;
}

export interface Scenario {
  readonly name: string;
  /** Question that it answers, in one line. */
  readonly about: string;
  readonly run: (bench: Bench) => Promise<Findings>;
}

/** A figure that can't be measured here, with the reason; no error. */
export class Skipped extends Error {
  override name = "Skipped";
}
