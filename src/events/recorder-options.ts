// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Bounds of the recorder of Events.

import type { TokenRate } from "./event-limits.ts";

export interface RecorderOptions {
  /** Enables Events for occurrences of KubeArmor's default posture; default false. */
  defaultPosture?: boolean;
  /** Series kept; beyond it the namespace with the most loses the one that was silent the longest. Default 4,096. */
  maxSeries?: number;
  /** Events that wait to be created; default 1,000. Patches need no room: a series waits at most once. */
  maxQueued?: number;
  /**
   * Creates and patches together; default 10/s, burst 50. Look-ups of uids are extra: at most one per request, in
   * practice one a minute for each pod with pending updates.
   */
  overall?: TokenRate;
  /** New Events of one pod or node; default one per 30 s, burst 25. Patches are bounded by the series' own pace. */
  perRegarding?: TokenRate;
}
