// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { expect, it } from "vitest";
import { Ledger } from "../../../src/aggregate/ledger/ledger.ts";
import { workloadKey } from "../../../src/ingest/violation/violation.ts";
import { runAtOnce } from "../../../src/lib/pacing/steps.ts";
import { renderReport } from "../../../src/report/render.ts";
import { alert, formatTimeAt, renderOptions, START_US, violation } from "../../support/gen.ts";

it("occurrences without details are never more than occurrences, also after the report was deleted", () => {
  const ledger = new Ledger("shop", "p");
  for (let i = 0; i < 50; i++) ledger.add(violation(alert({ UpdatedTime: formatTimeAt(i) })), true);
  ledger.write.take();
  ledger.write.commit();
  const share = ledger.entries.getShare(workloadKey(violation().identity));
  if (share) share.report.evict(share, 1, START_US);
  runAtOnce(ledger.transfer.rebase(undefined));
  ledger.add(violation(alert({ UpdatedTime: formatTimeAt(99) })), true);
  ledger.write.take();
  const { summary, coverage } = renderReport(ledger, renderOptions());
  expect(coverage.withoutDetails ?? 0).toBeLessThanOrEqual(summary.occurrences);
});
