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

/** Returns an acceptance, without effect where it is denied. */
export type ApplyDenials = (read: ReadAcceptance) => ReadAcceptance;

export function createDenials({ deniedPolicies, deniedNamespaces }: DenialOptions): ApplyDenials {
  const policies = parseAll(deniedPolicies);
  const namespaces = parseAll(deniedNamespaces);
  return (read) => {
    if ("problem" in read.effect) return read;
    const { namespace, effect } = read;
    const { policy } = effect.acceptance;
    const denied = policies.some((glob) => glob.matches(policy))
      ? `violations of ${policy} (acceptances.deniedPolicies)`
      : namespaces.some((glob) => glob.matches(namespace))
        ? `violations in ${namespace} (acceptances.deniedNamespaces)`
        : undefined;
    if (denied === undefined) return read;
    const problem = `The operator's configuration does not allow accepting ${denied}.`;
    return { ...read, effect: { problem, reason: "Denied" } };
  };
}

function parseAll(globs: readonly string[]): Glob[] {
  return globs.map(parseGlob).filter((glob) => "matches" in glob);
}
