// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Results of an attempt to write a copy, and the pause after an error.

import type { ApiErrorCode } from "../../kube/api-error.ts";

export type PublishResult = "written" | "unchanged" | "conflict" | "too_large" | "retry" | "refused";

const CONFLICT = { result: "conflict", afterMs: 1000 } as const;
const REFUSED = { result: "refused", afterMs: 60_000 } as const;
/** Errors that are not answered with a growing pause. */
export const FIXED_PAUSES: Partial<Record<ApiErrorCode | "Foreign", { result: PublishResult; afterMs: number }>> = {
  Conflict: CONFLICT,
  NotFound: CONFLICT,
  AlreadyExists: CONFLICT,
  Foreign: REFUSED,
  Forbidden: REFUSED,
  Unauthorized: REFUSED,
  Invalid: REFUSED,
  TooLarge: REFUSED,
  NotServed: REFUSED,
};
