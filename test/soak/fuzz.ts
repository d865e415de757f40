// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Coverage-guided fuzzing of both decoders and all that follows them: `node test/soak/fuzz.ts [--minutes 30] [--seed N]`.
// An input that reaches code which none before it has reached becomes one that others are made from. The engine's own
// coverage guides it: what is at hand as a package needs a native build, and can't look into code whose types are
// stripped while it is loaded.

import { Session } from "node:inspector/promises";
import { parseArgs } from "node:util";
import { createSamples, MutatedRun } from "../support/mutated-run.ts";
import { mutateBytes, mutateJson, type Random } from "../support/mutation.ts";
import { createRandom } from "../support/random.ts";

type Input = { kind: "bytes"; bytes: Buffer } | { kind: "json"; text: string };

const SAMPLES = 26;
/** Inputs that are looked at together: asking the engine costs more than a few of them. */
const BATCH = 64;
/** Batches after which the pipelines are ended, judged and begun again. */
const BATCHES_PER_RUN = 40;

const { values } = parseArgs({ options: { minutes: { type: "string" }, seed: { type: "string" } } });
const cpuMinutes = Number(values.minutes ?? 30);
const seed = Number(values.seed ?? Date.now() % 2 ** 31);

/** Pieces of the program that have run, over all inputs. */
class Coverage {
  readonly #session = new Session();
  readonly #seen = new Set<string>();

  async start(): Promise<void> {
    this.#session.connect();
    await this.#session.post("Profiler.enable");
    await this.#session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
    await this.countNewPieces();
  }

  get size(): number {
    return this.#seen.size;
  }

  /** Number of pieces that ran for the first time since the last call. */
  async countNewPieces(): Promise<number> {
    const { result } = await this.#session.post("Profiler.takePreciseCoverage");
    const before = this.#seen.size;
    for (const { url, functions } of result) {
      if (!url.includes("/src/")) continue;
      for (const { ranges } of functions) {
        for (const { startOffset, endOffset, count } of ranges) {
          if (count > 0) this.#seen.add(`${url}:${startOffset}-${endOffset}`);
        }
      }
    }
    return this.#seen.size - before;
  }
}

function createSeeds(): Input[] {
  const fresh = createSamples();
  return Array.from({ length: 2 * SAMPLES }, (_, n) =>
    n % 2 === 0
      ? { kind: "bytes", bytes: fresh.bytes(n / 2) }
      : { kind: "json", text: JSON.stringify(fresh.json((n - 1) / 2)) },
  );
}

function mutateInput(input: Input, corpus: readonly Input[], random: Random): Input {
  const other = corpus[Math.floor(random() * corpus.length)] as Input;
  if (input.kind === "bytes") {
    return {
      kind: "bytes",
      bytes: mutateBytes(input.bytes, [other.kind === "bytes" ? other.bytes : input.bytes], random),
    };
  }
  try {
    const value: unknown = JSON.parse(input.text);
    if (typeof value === "object" && value !== null && random() < 0.7) {
      return { kind: "json", text: mutateJson(value, random) };
    }
  } catch {
    // Text that is not JSON is changed as bytes are.
  }
  const text = Buffer.from(input.text);
  return { kind: "json", text: mutateBytes(text, [text], random).toString("utf8") };
}

function give(run: MutatedRun, input: Input): void {
  if (input.kind === "bytes") run.sendBytes(input.bytes);
  else run.sendJson(input.text);
}

function formatInput(input: Input): string {
  return input.kind === "bytes" ? input.bytes.toString("base64") : input.text;
}

function readCpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

async function main(): Promise<number> {
  const random = createRandom(seed);
  const corpus = createSeeds();
  const coverage = new Coverage();
  await coverage.start();
  const endMs = readCpuMs() + cpuMinutes * 60_000;
  let inputs = 0;
  let printedMs = 0;
  console.log(`fuzzing for ${cpuMinutes} min of CPU, seed ${seed}`);
  while (readCpuMs() < endMs) {
    const run = new MutatedRun();
    await run.start();
    let last: Input | undefined;
    try {
      for (let batch = 0; batch < BATCHES_PER_RUN && readCpuMs() < endMs; batch++) {
        const made = Array.from({ length: BATCH }, () =>
          mutateInput(corpus[Math.floor(random() * corpus.length)] as Input, corpus, random),
        );
        for (last of made) give(run, last);
        inputs += made.length;
        // One of them found something: all of them are kept, which costs less than to ask which.
        if ((await coverage.countNewPieces()) > 0 && corpus.length < 20_000) corpus.push(...made);
        if (batch % 8 === 0) await run.advance(1000);
      }
      const problems = await run.stop();
      if (problems.length > 0) throw new Error(problems.join("\n"));
    } catch (error) {
      console.error(`seed ${seed}, after ${inputs} inputs, the last of them: ${last && formatInput(last)}`);
      console.error(error);
      return 1;
    }
    if (readCpuMs() - printedMs < 60_000) continue;
    printedMs = readCpuMs();
    console.log(`${inputs} inputs, ${corpus.length} in the corpus, ${coverage.size} pieces of code reached`);
  }
  console.log(
    `${inputs} inputs, ${corpus.length} in the corpus, ${coverage.size} pieces of code reached: nothing found`,
  );
  return 0;
}

process.exitCode = await main();
