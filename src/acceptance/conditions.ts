// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Status of an AcceptedViolation.
// Invariant: pure; the same state gives the same status, and a condition's time moves only with its status.

import type { AcceptanceCondition, AcceptanceConditionType, AcceptanceStatus } from "../api/acceptance.ts";
import { type EpochUs, formatMicroTime } from "../lib/time.ts";
import type { ReadAcceptance, RefusedAcceptance } from "./parse-acceptance.ts";

/** Reasons against an acceptance that could be read. */
export interface Standing {
  nowUs: EpochUs;
  /** Matched parts of the reports; none when it has no effect. */
  matched: { violations: number; occurrences: number };
  /** Set where it has no effect, although it could be read. */
  refusal: RefusedAcceptance | undefined;
}

/** The status that it should have now. */
export function createStatus(read: ReadAcceptance, standing: Standing): AcceptanceStatus {
  const { nowUs, refusal } = standing;
  const { effect, generation } = read;
  const refused = "problem" in effect ? effect : refusal;
  const problem = refused?.problem;
  const expiresUs = "problem" in effect ? undefined : effect.expiresUs;
  const isExpired = problem === undefined && expiresUs !== undefined && expiresUs <= nowUs;
  const isActive = problem === undefined && !isExpired;
  const { violations, occurrences } = isActive ? standing.matched : { violations: 0, occurrences: 0 };
  const isWide = isActive && "acceptance" in effect && effect.acceptance.isWide;
  const at = expiresUs === undefined ? "" : formatMicroTime(expiresUs);
  const say = (
    type: AcceptanceConditionType,
    is: boolean,
    [reason, message]: readonly [string, string],
  ): AcceptanceCondition => condition(read, nowUs, type, is, reason, message);
  return {
    observedGeneration: generation,
    matched: { violations, occurrences },
    conditions: [
      say(
        "Active",
        isActive,
        isActive
          ? ["InEffect", expiresUs === undefined ? "In effect until it is deleted." : `In effect until ${at}.`]
          : isExpired
            ? ["Expired", `Expired at ${at}: what it accepted is open again.`]
            : [refused?.reason === "Denied" ? "Denied" : "Invalid", "Accepts nothing: see the condition Invalid."],
      ),
      say("Expired", isExpired, isExpired ? ["Expired", `Since ${at}.`] : ["NotExpired", ""]),
      say("Invalid", problem !== undefined, refused === undefined ? ["Valid", ""] : [refused.reason, refused.problem]),
      say(
        "MatchesNothing",
        isActive && violations === 0,
        isActive && violations === 0
          ? ["NoViolation", "No violation in the reports of this namespace matches."]
          : ["Matches", ""],
      ),
      say(
        "MatchesEverything",
        isWide,
        isWide ? ["OnlyThePolicy", "Only the policy is matched: every violation of it is accepted."] : ["Narrowed", ""],
      ),
    ],
  };
}

function condition(
  { status, generation }: ReadAcceptance,
  nowUs: EpochUs,
  type: AcceptanceConditionType,
  is: boolean,
  reason: string,
  message: string,
): AcceptanceCondition {
  const word = is ? "True" : "False";
  const before = createConditions(status).find((each) => each.type === type);
  const isOld = before?.status === word && typeof before.lastTransitionTime === "string";
  return {
    type,
    status: word,
    reason,
    message,
    // metav1.Time knows whole seconds.
    lastTransitionTime: isOld ? before.lastTransitionTime : `${formatMicroTime(nowUs).slice(0, 19)}Z`,
    observedGeneration: generation,
  };
}

function createConditions({ conditions }: AcceptanceStatus): readonly AcceptanceCondition[] {
  return Array.isArray(conditions) ? conditions.filter((each) => typeof each === "object" && each !== null) : [];
}

/** Lag of the stored status: none, in numbers only, or in its conditions. */
export function behind(stored: AcceptanceStatus, wanted: AcceptanceStatus): "no" | "numbers" | "words" {
  const words = ({ observedGeneration, conditions }: AcceptanceStatus) =>
    JSON.stringify([
      observedGeneration,
      createConditions({ conditions: conditions ?? [] }).map((c) => [
        c.type,
        c.status,
        c.reason,
        c.message,
        c.lastTransitionTime,
        c.observedGeneration,
      ]),
    ]);
  if (words(stored) !== words(wanted)) return "words";
  const isSame =
    stored.matched?.violations === wanted.matched?.violations &&
    stored.matched?.occurrences === wanted.matched?.occurrences;
  return isSame ? "no" : "numbers";
}
