// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Speaks with the benchmark: takes its commands from standard input, and measures from one alert to a later one.
// Invariant: looks at the count every 2 ms, so that measuring costs a client nothing per alert.

import { createInterface } from "node:readline";

export type Command = Readonly<Record<string, unknown>>;

const LOOK_EVERY_MS = 2;
/** A client that is not ended ends by itself. */
const MAX_LIFE_MS = 30 * 60_000;

export function printLine(line: Readonly<Record<string, unknown>>): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

/**
 * Obeys `{"expect": n}`: reports how long, and how much processor time, the next n alerts took; and
 * `{"stallMs": n}`: keeps the main thread busy for that part of every second from now on. Other commands go to `obey`. The
 * process ends with its standard input.
 */
export function followCommands(received: () => number, obey: (command: Command) => unknown): void {
  setTimeout(() => process.exit(1), MAX_LIFE_MS).unref();
  createInterface(process.stdin)
    .on("line", (line) => {
      const command = JSON.parse(line) as Command;
      if (typeof command["expect"] === "number") measure(received, command["expect"]);
      else if (typeof command["stallMs"] === "number") keepBusy(command["stallMs"]);
      else obey(command);
    })
    .on("close", () => process.exit(0));
}

function keepBusy(busyMs: number): void {
  setInterval(() => {
    for (const endMs = performance.now() + busyMs; performance.now() < endMs; );
  }, 1000);
  printLine({ stalling: busyMs });
}

function measure(received: () => number, expected: number): void {
  const base = received();
  let startMs = 0;
  let startCpu: NodeJS.CpuUsage | undefined;
  const timer = setInterval(() => {
    const count = received() - base;
    if (count > 0 && startCpu === undefined) {
      startMs = performance.now();
      startCpu = process.cpuUsage();
    }
    if (count < expected) return;
    clearInterval(timer);
    const { user, system } = process.cpuUsage(startCpu);
    printLine({ received: count, elapsedMs: performance.now() - startMs, cpuUs: user + system });
  }, LOOK_EVERY_MS);
  printLine({ expecting: expected });
}
