// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A sink in front of another.
// Invariant: every other operation of the port is passed on.

import type { RemoveResult, ReportSink, WriteResult } from "./report-sink.ts";

/** Passes everything on to `sink` but for `changes`. */
export function overrideSink(sink: ReportSink, changes: Partial<ReportSink>): ReportSink {
  return {
    list: (signal) => sink.list(signal),
    read: (ref, signal) => sink.read(ref, signal),
    write: (report, signal) => sink.write(report, signal),
    isMislabeled: (report) => sink.isMislabeled?.(report) === true,
    ...(sink.findAbsentNamespaces && { findAbsentNamespaces: sink.findAbsentNamespaces.bind(sink) }),
    remove: (ref, version, signal) => sink.remove(ref, version, signal),
    ...changes,
  };
}

/** Passes writes and removals only while `mayWrite` is true at that moment; `refusal` answers the others. */
export function guardSink(sink: ReportSink, mayWrite: () => boolean, refusal: WriteResult & RemoveResult): ReportSink {
  return overrideSink(sink, {
    write: async (report, signal) => (mayWrite() ? await sink.write(report, signal) : refusal),
    remove: async (ref, version, signal) => (mayWrite() ? await sink.remove(ref, version, signal) : refusal),
  });
}
