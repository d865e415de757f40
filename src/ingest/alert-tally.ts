// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// PORT: the receiver of counted alerts: the aggregator, or in a standby the alerts that no report holds yet.

import type { Occurrence } from "./occurrence.ts";
import type { ThrottleNotice } from "./violation/violation.ts";

export interface AlertTally {
  /** True where a cell with an owner counts its own alerts; otherwise each is added here. */
  readonly countsCells: boolean;
  /**
   * Counts one alert. `isDated` is false where its time is its arrival. Returns false where the bound on reports leaves
   * no room for its report.
   */
  add(occurrence: Occurrence, isDated: boolean): boolean;
  /** Marks every report of the throttled pod or node as a lower bound. Returns the number of reports. */
  addThrottleNotice(notice: ThrottleNotice): number;
}

/** PORT: selects the receiver of alerts, which changes with a takeover. */
export interface TallySelector {
  readonly tally: AlertTally;
}
