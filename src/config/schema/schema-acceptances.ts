// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The settings of AcceptedViolations: a part of schema.ts.

import { parseGlob } from "../../lib/glob.ts";
import { section, textList } from "./setting.ts";

const MAX_ITEMS = 1000;

function findGlobFault(pattern: string): string | undefined {
  const glob = parseGlob(pattern);
  return "problem" in glob ? `is an invalid glob: ${glob.problem}` : undefined;
}

export const acceptances = section("Bounds on what AcceptedViolations may accept.", {
  deniedPolicies: textList({
    about:
      "Globs of names of policies of which no violation may be accepted; `*` denies all. An acceptance of one has the " +
      "condition Invalid with the reason Denied, and no effect.",
    expects: "a list of globs",
    maxItems: MAX_ITEMS,
    fault: findGlobFault,
  }),
  deniedNamespaces: textList({
    about: "Globs of names of namespaces in which no violation may be accepted.",
    expects: "a list of globs",
    maxItems: MAX_ITEMS,
    fault: findGlobFault,
  }),
});
