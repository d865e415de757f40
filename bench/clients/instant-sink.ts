// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A store that answers at once and keeps nothing: what a write costs is what it costs for the API server, making the
// JSON text and reading the metadata that is answered.

import { toReportText } from "../../src/api/report-text.ts";
import type { Report } from "../../src/api/v1alpha1.ts";
import type { ReadResult, RemoveResult, ReportSink, WriteResult } from "../../src/sinks/report-sink.ts";

export class InstantSink implements ReportSink {
  writes = 0;
  /** Characters of all writes. */
  bytes = 0;

  async *list(): AsyncIterable<Report> {}

  read(): Promise<ReadResult> {
    return Promise.resolve({ kind: "absent" });
  }

  remove(): Promise<RemoveResult> {
    return Promise.resolve({ kind: "absent" });
  }

  write(report: Report): Promise<WriteResult> {
    this.writes++;
    this.bytes += toReportText(report).length;
    const stored = JSON.parse(JSON.stringify(report.metadata)) as Report["metadata"];
    const metadata = { ...stored, uid: stored.uid ?? `uid-${this.writes}`, resourceVersion: String(this.writes) };
    return Promise.resolve({ kind: "written", report: { ...report, metadata } });
  }
}
