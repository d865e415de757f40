// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A stall of our process, against a Go server that drops alerts like KubeArmor when its queue of 1,000 is full. As many
// alerts as the flow control window holds are not lost, however long the stall is.

import { afterEach, expect, it } from "vitest";
import { type AlertSource, startAlertSource } from "../../bench/support/alert-source.ts";
import { locateParts } from "../../tools/parts/parts.ts";
import { run } from "./alerts-bed.ts";

const part = locateParts(["alert-source"])["alert-source"];
const program = part !== undefined && "path" in part ? part.path : undefined;
if (program === undefined && process.env["CI"]) throw new Error(`no alert-source: ${JSON.stringify(part)}`);

let server: AlertSource | undefined;
afterEach(() => server?.stop());

it.skipIf(program === undefined)("loses none of 6,000 alerts that are sent during a stall", async () => {
  server = await startAlertSource(program ?? "");
  const { until, source } = run({ address: server.address });
  await server.clients(1);
  const offered = 6_000;
  const sending = server.send({ count: offered, rate: 10_000, drop: true });
  // Busy until everything is offered, and longer.
  for (const endMs = performance.now() + 1_000; performance.now() < endMs; );
  expect(await sending).toMatchObject({ offered, sent: offered, dropped: 0 });
  await until(() => source.stats.messages === offered);
  expect(source.stats).toMatchObject({ attempts: 1, connects: 1 });
});
