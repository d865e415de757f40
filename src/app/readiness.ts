// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Readiness with its reasons.
// Invariant: reads only.

import { getLeadership } from "../leadership/replica.ts";
import type { Health } from "../telemetry/health.ts";
import type { ConfiguredSource } from "./feed/configured-source.ts";
import type { OperatorParts } from "./operator-parts.ts";
import type { Pipeline } from "./pipeline/pipeline.ts";

/**
 * Ready: the stored reports are listed, the stream is open or being retried, and our writes are not refused; that of a
 * single report may be, which others have changed.
 */
export function computeReadiness({ pipeline, journaling, replica, source }: OperatorParts): Health {
  const { controller, takeover } = pipeline;
  const { listing } = takeover;
  const refusal = controller.refusals[0];
  const { isLeader, ok, detail } = getLeadership(replica);
  const isListed = listing === undefined || !isLeader;
  return {
    ok: ok && isListed && controller.commonRefusal === undefined,
    checks: {
      leadership: { ok, detail },
      reports: { ok: isListed, detail: isLeader ? (listing ?? "listed") : "not leader" },
      writes: {
        ok: controller.commonRefusal === undefined,
        ...(refusal === undefined ? {} : { detail: controller.commonRefusal ?? refusal }),
      },
      // Everything works without it; only a crash would lose more.
      journal: { ok: true, detail: journaling ? (journaling.problem ?? "kept") : "none is configured" },
      // A relay that is down is no reason to restart or unroute us: we retry, and the gap is counted.
      stream: { ok: true, detail: describeStream(pipeline.coverage, source) },
    },
  };
}

/** Describes the stream of the relay, or of all nodes, with one that is missing and why. */
export function describeStream(
  { down, continuousSinceMs }: Pick<Pipeline["coverage"], "down" | "continuousSinceMs">,
  { nodes, problem }: Pick<ConfiguredSource, "nodes" | "problem">,
): string {
  if (nodes !== undefined) {
    const counts = `${nodes.connected} of ${nodes.desired} nodes are read`;
    return problem === undefined ? counts : `${counts}; ${problem}`;
  }
  if (down) return `down, being retried: ${down.message}`;
  return continuousSinceMs === undefined ? "connecting" : "open";
}
