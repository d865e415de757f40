// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The longest step of the main thread in the life of one very large report: nothing is read meanwhile.

import { join } from "node:path";
import { readImageEnv } from "../../test/support/image-env.ts";
import { JsonProcess } from "../support/json-process.ts";
import type { Bench, Findings, Scenario } from "../support/scenario.ts";

const CLIENT = join(import.meta.dirname, "../clients/steps.ts");
const HELD = 200_000;
const QUICK_HELD = 20_000;
const MAX_MS = 20;
const TIMEOUT_MS = 10 * 60_000;

async function run(bench: Bench): Promise<Findings> {
  const held = bench.quick ? QUICK_HELD : HELD;
  const args = [CLIENT, String(held), String(QUICK_HELD)];
  const client = new JsonProcess({ file: process.execPath, args, env: readImageEnv() });
  const phases = (await client.readNext("phases", TIMEOUT_MS))["phases"] as [phase: string, ms: number][];
  const longest = Math.max(...phases.map(([, ms]) => ms));
  return {
    rows: [
      {
        figure: `longest step with ${held.toLocaleString("en")} violations in one report, all new (processor time)`,
        against: "",
        aim: `≤ ${MAX_MS} ms`,
        measured: `${longest.toFixed(1)} ms`,
        met: longest <= MAX_MS,
      },
    ],
    details: [{ head: ["longest step, ms", ""], lines: phases.map(([phase, ms]) => [phase, ms.toFixed(1)]) }],
  };
}

export const steps: Scenario = {
  name: "steps",
  about: "How long nothing is read while one very large report is written, and removed.",
  run,
};
