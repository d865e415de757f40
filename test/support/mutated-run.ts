// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Alerts of any form through the decoders, the cells and the counters into reports, and what must hold afterwards. Bytes
// go two ways at once, the quick one and the one that reads everything: they must come to the same. What either decoder
// reads must be what the rules say, stated once more by an oracle that shares no code with it.

import { isDeepStrictEqual } from "node:util";
import type { AlertListener } from "../../src/alerts/alert-source.ts";
import { parseJsonAlert } from "../../src/alerts/decoding/json-decoder.ts";
import { readAlert } from "../../src/alerts/decoding/protobuf-decoder.ts";
import { RawAlertReader } from "../../src/alerts/decoding/protobuf-scanner.ts";
import type { Report, Violation } from "../../src/api/v1alpha1.ts";
import { readAlerts, restamp, type WireAlert } from "../../tools/kubearmor-node/alerts.ts";
import { createAlertTemplate } from "../../tools/kubearmor-node/wire.ts";
import { SAMPLES_PATH } from "../../tools/samples.ts";
import { decodeJsonAsOracle } from "../property/json-oracle.ts";
import { findProblems, Simulation } from "../property/pipeline-simulation.ts";
import { decodeAsOracle } from "../property/wire-oracle.ts";
import { MEMORY, START_MS } from "./gen.ts";
import { mutateBytes, mutateJson } from "./mutation.ts";
import { createRandom } from "./random.ts";
import { toThoroughAlert } from "./thorough-alert.ts";

const MEMORY_OF_TEST = { ...MEMORY, maxViolations: 5000, maxViolationsPerWorkload: 500, maxReports: 500 };

export class MutatedRun {
  readonly quick = new Simulation({ options: { memory: MEMORY_OF_TEST } });
  readonly thorough = new Simulation({ options: { memory: MEMORY_OF_TEST } });
  readonly #reader = new RawAlertReader();
  #given = 0;
  /** Inputs that a decoder read otherwise than the rules say; the first is shown. */
  #misread = 0;
  #firstMisread = "";

  async start(): Promise<void> {
    await this.quick.start();
    await this.thorough.start();
  }

  /** One message, as the stream's feed takes it. */
  sendBytes(message: Uint8Array): void {
    this.#given++;
    // The stream's buffers are used again.
    const copy = Buffer.from(message);
    const read = readAlert(message);
    if (!isDeepStrictEqual(read, decodeAsOracle(copy))) this.#isMisread(copy.toString("base64"));
    if (this.#reader.find(copy)) {
      const thorough = toThoroughAlert(this.#reader);
      this.quick.pipeline.onAlert(this.#reader, 0);
      this.thorough.pipeline.onAlert(thorough, 0);
    } else for (const { pipeline } of this.#getBoth()) deliver(pipeline, readAlert(copy), "invalid_wire");
    copy.fill(0x58);
  }

  /** One line, as the file's feed takes it. */
  sendJson(text: string): void {
    this.#given++;
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      for (const { pipeline } of this.#getBoth()) pipeline.onRejected("invalid_json", "injected", 1);
      return;
    }
    const alert = parseJsonAlert(value);
    if (!isDeepStrictEqual(alert, decodeJsonAsOracle(value))) this.#isMisread(text);
    for (const { pipeline } of this.#getBoth()) deliver(pipeline, alert, "not_an_alert");
  }

  /** Lets the reports be written. */
  async advance(ms: number): Promise<void> {
    for (const simulation of this.#getBoth()) await simulation.clock.advance(ms);
  }

  /** Ends; returns what is wrong, in words. */
  async stop(): Promise<string[]> {
    const problems: string[] = [];
    if (this.#misread > 0) {
      problems.push(`${this.#misread} read otherwise than the rules say, the first: ${this.#firstMisread}`);
    }
    for (const simulation of this.#getBoth()) {
      await simulation.stop();
      problems.push(...findProblems(simulation));
      const { received } = simulation.pipeline.counters;
      if (received !== this.#given) problems.push(`${received} received of ${this.#given}`);
    }
    problems.push(...findDifferences(this.quick.store.reports, this.thorough.store.reports));
    // A cell counts for the violation of its first alert until names are looked up, so that fewer violations join others.
    const [x, y] = [this.quick, this.thorough].map(({ pipeline }) =>
      JSON.stringify({ ...pipeline.counters, joined: undefined }),
    );
    if (x !== y) problems.push(`different counters: ${x} and ${y}`);
    return problems;
  }

  #isMisread(input: string): void {
    this.#misread++;
    if (this.#misread === 1) this.#firstMisread = input;
  }

  #getBoth(): readonly [Simulation, Simulation] {
    return [this.quick, this.thorough];
  }
}

/** Reports of a run that may differ in what depends on a disputed name: in a million alerts there are a few. */
const MAX_DISPUTED = 1;

function findDifferences(quick: readonly Report[], thorough: readonly Report[]): string[] {
  if (quick.length !== thorough.length) return [`${quick.length} reports, and ${thorough.length} the thorough way`];
  const disputed = findDisputed([...quick, ...thorough]);
  const differ = (change: (report: Report) => Report) =>
    quick.filter((report, i) => toText(change(report)) !== toText(change(thorough[i] as Report)));
  const count = differ((report) => report).length;
  const wrong = differ((report) => omitNames(report, disputed)).map(({ policy }) => policy.name);
  if (wrong.length === 0 && count <= MAX_DISPUTED) return [];
  return [`the quick way and the thorough one came to ${count} different reports, not for names: ${wrong.join()}`];
}

/**
 * Pods that alerts name with several owners, and containers with several names, as no cluster has them: an alert without
 * the name may get any of these.
 */
function findDisputed(reports: readonly Report[]): Set<string> {
  const names = new Map<string, string>();
  const disputed = new Set<string>();
  for (const { metadata, violations } of reports) {
    for (const violation of violations) {
      for (const [key, name] of listNames(violation, metadata.namespace)) {
        if ((names.get(key) ?? name) !== name) disputed.add(key);
        names.set(key, name);
      }
    }
  }
  return disputed;
}

/** The owner of each pod, and the name of the container. */
function listNames({ workload, pods, container, latest }: Violation, namespace = ""): [key: string, name: string][] {
  // Without an owner a pod is its own workload.
  const owned = (pods ?? []).filter(({ name }) => workload?.kind !== "Pod" || workload.name !== name);
  const owners = owned.map(({ name }): [string, string] => [`${namespace}/${name}`, JSON.stringify(workload)]);
  return latest?.containerId && container ? [...owners, [latest.containerId, container]] : owners;
}

/** Leaves out what depends on a disputed name. */
function omitNames(report: Report, disputed: ReadonlySet<string>): Report {
  const { metadata, summary, violations } = report;
  const isDisputed = ({ pods, latest }: Violation) =>
    disputed.has(latest?.containerId ?? "") || pods?.some(({ name }) => disputed.has(`${metadata.namespace}/${name}`));
  if (!violations.some(isDisputed)) return report;
  const { violations: _, workloads: __, open: ___, ...rest } = summary;
  return { ...report, summary: rest as typeof summary, violations: [] };
}

function toText(report: Report): string {
  return JSON.stringify({ ...report, metadata: { name: report.metadata.name } });
}

type ReadAlert = ReturnType<typeof readAlert>;

function deliver(listener: AlertListener, alert: ReadAlert, reason: "invalid_wire" | "not_an_alert"): void {
  if (alert === null) listener.onRejected(reason, "injected", 0);
  else listener.onAlert(alert, 0);
}

/** Number of reports that are checked together. */
const PART = 2000;

/** Samples that differ in time and process id from one number to the next, so that none is another's duplicate. */
export function createSamples(): { json: (n: number) => WireAlert; bytes: (n: number) => Buffer } {
  const samples = readAlerts(SAMPLES_PATH);
  const templates = samples.map(createAlertTemplate);
  const us = (n: number) => START_MS * 1000 + n;
  return {
    json: (n) => restamp(samples[n % samples.length] as WireAlert, us(n), 1000 + n),
    bytes: (n) => (templates[n % templates.length] as (typeof templates)[0]).stamped(us(n), 1000 + n),
  };
}

/** At least this share of the alerts is still counted, else the counts are not put to the test. */
const MIN_COUNTED = 0.2;

/** Sends `count` mutated alerts, half as bytes and half as JSON; returns what is wrong, in words. */
export async function runMutated(count: number, seed: number): Promise<string[]> {
  const random = createRandom(seed);
  const fresh = createSamples();
  const others = Array.from({ length: 26 }, (_, n) => fresh.bytes(n));
  for (let done = 0; done < count; done += PART) {
    const run = new MutatedRun();
    await run.start();
    const part = Math.min(PART, count - done);
    for (let i = 0; i < part; i++) {
      if (i % 2 === 0) run.sendBytes(mutateBytes(fresh.bytes(i), others, random));
      else run.sendJson(mutateJson(fresh.json(i), random));
      if (i % 500 === 0) await run.advance(1000);
    }
    const problems = await run.stop();
    const { counted } = run.quick.pipeline.counters;
    if (counted < part * MIN_COUNTED) problems.push(`only ${counted} of ${part} were counted`);
    if (problems.length > 0) return [`in alerts ${done} to ${done + part}:`, ...problems];
  }
  return [];
}
