// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Fields that newer operators write. Types only.

declare module "../../../src/api/v1alpha1.ts" {
  interface HistoryEntry {
    start: string;
    prevented?: number;
    allowed?: number;
    unknown?: number;
  }
  interface History {
    hourly: HistoryEntry[];
    daily: HistoryEntry[];
    lowerBound?: boolean;
  }
  interface Summary {
    history?: History;
  }
  interface Violation {
    verb?: string;
    severity?: number;
    tags?: string[];
    message?: string;
  }
}

declare module "../../../src/api/acceptance.ts" {
  interface AcceptanceMatch {
    verb?: string;
    port?: number;
    protocol?: string;
  }
}

export type {};
