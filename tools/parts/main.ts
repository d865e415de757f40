// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// `npm run parts`: makes sure that the real parts of tests and benchmark are there, and prints where; `-- --node` includes those
// of a real node.
// Invariant: it ends with 0 only when every part is there.

import { parseArgs } from "node:util";
import {
  BENCH_PARTS,
  MONITORING_PARTS,
  NODE_PARTS,
  OWN_PARTS,
  type PartName,
  SCALE_PARTS,
  TEST_PARTS,
} from "./catalog.ts";
import { ensureParts, type Part } from "./parts.ts";

const { values } = parseArgs({ options: { node: { type: "boolean", default: false } } });
const names: PartName[] = [
  ...TEST_PARTS,
  ...MONITORING_PARTS,
  ...BENCH_PARTS,
  ...SCALE_PARTS,
  ...OWN_PARTS,
  ...(values.node ? NODE_PARTS : []),
];

// The exit handlers, which end `go` and release the lock, do not run when a signal ends the process by itself.
for (const [signal, code] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
  ["SIGHUP", 129],
] as const) {
  process.once(signal, () => process.exit(code));
}

const parts = await ensureParts({ names, onProgress: (line) => console.log(line) });
const width = Math.max(...names.map((name) => name.length));
for (const [name, part] of Object.entries(parts) as [PartName, Part][]) {
  const place = "path" in part ? `${part.path} (${part.from})` : `MISSING: ${part.missing}`;
  console.log(`${name.padEnd(width)}  ${place}`);
  if ("missing" in part) process.exitCode = 1;
}
