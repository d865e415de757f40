// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A store that answers at once and keeps nothing: what a write costs is making the JSON and reading the answer's.

import type { Report } from "../../src/api/v1alpha1.ts";
import type { ReadResult, RemoveResult, ReportSink, WriteResult } from "../../src/sinks/report-sink.ts";

export class InstantSink implements ReportSink {
  writes = 0;

  async *list(): AsyncIterable<Report> {}

  read(): Promise<ReadResult> {
    return Promise.resolve({ kind: "absent" });
  }

  remove(): Promise<RemoveResult> {
    return Promise.resolve({ kind: "absent" });
  }

  write(report: Report): Promise<WriteResult> {
    this.writes++;
    const stored = JSON.parse(JSON.stringify(report)) as Report;
    const metadata = {
      ...stored.metadata,
      uid: stored.metadata.uid ?? `uid-${this.writes}`,
      resourceVersion: String(this.writes),
    };
    return Promise.resolve({ kind: "written", report: { ...stored, metadata } });
  }
}
