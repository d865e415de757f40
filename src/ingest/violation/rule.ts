// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The rule of a policy that an alert matched: its severity, tags and message.
// Invariant: equal rules are one object in most cases, since many violations share them.

import { TextPool } from "../../lib/collections/text-pool.ts";

export interface RuleFacts {
  /** 1..10; 0 without one. */
  readonly severity: number;
  readonly tags: readonly string[];
  readonly message: string;
  /** The three fields as JSON; equal for equal rules. Also orders rules. */
  readonly text: string;
}

/** More rules than the policies of a cluster have. */
const POOL = new TextPool<RuleFacts>(4096, (text) => {
  const [severity, message, tags] = JSON.parse(text) as [number, string, string[]];
  return { severity, message, tags, text };
});

export function getRule({ severity, message, tags }: Omit<RuleFacts, "text">): RuleFacts {
  return POOL.get(JSON.stringify([severity, message, tags]));
}

export function parseRule(text: string): RuleFacts {
  return POOL.get(text);
}

/** The rule of alerts without any of the three fields. */
export const NO_RULE = getRule({ severity: 0, message: "", tags: [] });
