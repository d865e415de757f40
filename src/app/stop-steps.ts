// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Shutdown steps: each is registered where its part starts, and all run in reverse order.

import type { Logger } from "../lib/logger.ts";

export class StopSteps {
  readonly #steps: { name: string; stop: () => unknown }[] = [];
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Registers the end of something that has just started. */
  onStop(name: string, stop: () => unknown): void {
    this.#steps.push({ name, stop });
  }

  /** Runs a program; where it fails, the steps of what it has started are run. Rejects as the program does. */
  async cover<T>(program: () => Promise<T>): Promise<T> {
    try {
      return await program();
    } catch (error) {
      await this.run();
      throw error;
    }
  }

  /** Runs the steps, the last registered first; a step that fails is logged and does not keep the others. */
  async run(): Promise<void> {
    for (let step = this.#steps.pop(); step; step = this.#steps.pop()) {
      this.#logger.debug({ step: step.name }, "stopping");
      try {
        await step.stop();
      } catch (err) {
        this.#logger.error({ err, step: step.name }, "stop step failed");
      }
    }
  }
}
