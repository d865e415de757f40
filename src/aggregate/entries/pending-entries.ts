// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Violations with a tally of pending counts, and the number of those that a report written now would not count.
// Invariant: an entry is deleted before it enters a write other than by a take, and added again after that.

import { ListedSet } from "../../lib/collections/listed-set.ts";
import { type Entry, isWritten } from "./entry.ts";

export class PendingEntries extends ListedSet<"pendingPosition", Entry> {
  newEntries = 0;

  constructor() {
    super("pendingPosition");
  }

  /** Adds an entry; one that was in a write when it was added, and is not any more, is added again. */
  override add(entry: Entry): boolean {
    if (!isWritten(entry)) this.newEntries++;
    return super.add(entry);
  }

  override delete(entry: Entry): boolean {
    const wasThere = super.delete(entry);
    if (wasThere && !isWritten(entry)) this.newEntries--;
    return wasThere;
  }
}
