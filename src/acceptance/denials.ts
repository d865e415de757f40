// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Acceptances that the operator's configuration denies.

import { type Glob, parseGlob } from "../lib/glob.ts";
import type { ReadAcceptance } from "./parse-acceptance.ts";

/** Settings under `acceptances`: lists of valid globs. */
export interface DenialOptions {
  deniedPolicies: readonly string[];
  deniedNamespaces: readonly string[];
}

export class Denials {
  readonly #policies: readonly Glob[];
  readonly #namespaces: readonly Glob[];

  constructor({ deniedPolicies, deniedNamespaces }: DenialOptions) {
    this.#policies = parseAll(deniedPolicies);
    this.#namespaces = parseAll(deniedNamespaces);
  }

  /** Returns the acceptance, without effect where it is denied. */
  apply(read: ReadAcceptance): ReadAcceptance {
    if ("problem" in read.effect) return read;
    const { namespace, effect } = read;
    const { policy } = effect.acceptance;
    const denied = this.#policies.some((glob) => glob.matches(policy))
      ? `violations of ${policy} (acceptances.deniedPolicies)`
      : this.#namespaces.some((glob) => glob.matches(namespace))
        ? `violations in ${namespace} (acceptances.deniedNamespaces)`
        : undefined;
    if (denied === undefined) return read;
    const problem = `The operator's configuration does not allow accepting ${denied}.`;
    return { ...read, effect: { problem, reason: "Denied" } };
  }
}

function parseAll(globs: readonly string[]): Glob[] {
  return globs.map(parseGlob).filter((glob) => "matches" in glob);
}
