// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Time and CPU from the first alert to the last.

export class Stopwatch {
  readonly #count: number;
  #seen = 0;
  #startMs = 0;
  #cpu = process.cpuUsage();

  constructor(count: number) {
    this.#count = count;
  }

  /** Notes one alert; returns true at the last. */
  tick(): boolean {
    if (this.#seen++ === 0) {
      this.#startMs = performance.now();
      this.#cpu = process.cpuUsage();
    }
    return this.#seen === this.#count;
  }

  /** Prints the result as one line of JSON. */
  print(more: Record<string, number>): void {
    const { user, system } = process.cpuUsage(this.#cpu);
    const result = {
      alerts: this.#count,
      elapsedMs: performance.now() - this.#startMs,
      cpuUs: user + system,
      rssBytes: process.memoryUsage.rss(),
      ...more,
    };
    process.stdout.write(`${JSON.stringify(result)}\n`);
  }
}
