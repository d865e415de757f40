// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Loaded into an operator under measurement (`node --import`): it ends with the benchmark that started it, and tells
// how long its event loop was blocked. With BENCH_LOOP_FILE set, SIGUSR2 writes what was since the last SIGUSR2.
// JavaScript, because what strips types from TypeScript would weigh more than some of what is measured.

import { renameSync, writeFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";

const RESOLUTION_MS = 1;
const LOOK_EVERY_MS = 1000;

const parent = process.ppid;
setInterval(() => {
  if (process.ppid !== parent) process.exit(1);
}, LOOK_EVERY_MS).unref();

const file = process.env.BENCH_LOOP_FILE;
if (file !== undefined) {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  // What is recorded is the time between two looks: without any delay it is the resolution.
  const ms = (ns) => Math.max(0, ns / 1e6 - RESOLUTION_MS);
  process.on("SIGUSR2", () => {
    const line = { p50: ms(delay.percentile(50)), p99: ms(delay.percentile(99)), max: ms(delay.max) };
    writeFileSync(`${file}.new`, JSON.stringify(line));
    renameSync(`${file}.new`, file);
    delay.reset();
  });
}
