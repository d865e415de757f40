// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Load: many alerts at a rate, cheap enough that the server is not what is measured.
// Invariant: gives the event loop back after every batch, so clients can read while it pushes.

import { setImmediate, setTimeout } from "node:timers/promises";
import type { WireAlert } from "./alerts.ts";
import { createAlertTemplate, encodeAlert } from "./wire.ts";

/** Alerts that flood() sends, their number and pace. */
export interface FloodOptions {
  /** The alert, or several to be sent in turn. */
  alert: WireAlert | readonly WireAlert[];
  /** Number in all; default: until `signal` aborts. */
  count?: number;
  /** Number a second, on average; default: as fast as the loop turns. */
  ratePerSec?: number;
  /** Gives each alert its own time (later than the one before) and process ids, where it has any; default true. */
  stamp?: boolean;
  /** Changes the alert before it is stamped, by its number from 0; costs an encoding each. */
  vary?: (alert: WireAlert, index: number) => WireAlert;
  /** Ends the flood early. */
  signal?: AbortSignal;
}

/** Destination of a flood. */
export interface FloodTarget {
  pushRaw(bytes: Buffer): void;
  /** Condition for another alert; undefined when it may come now. Rejects when the signal aborts. */
  room(signal?: AbortSignal): Promise<void> | undefined;
}

// Fewer than one turn of the event loop can write, so that catching up after a stall does not itself drop alerts.
const BATCH = 50;
// Process ids run below Linux' largest pid_max and start above what looks like a system process.
const FIRST_PID = 1000;
const PID_COUNT = 4_000_000;

type Encoder = (index: number) => Buffer;

function getNowUs(): number {
  return Math.floor((performance.timeOrigin + performance.now()) * 1000);
}

function createEncoder(options: FloodOptions): Encoder {
  const alerts: readonly WireAlert[] = Array.isArray(options.alert) ? options.alert : [options.alert];
  if (alerts.length === 0) throw new RangeError("flood needs at least one alert");
  const { vary, stamp = true } = options;
  const pick = (index: number): WireAlert => {
    const alert = alerts[index % alerts.length]!;
    return vary ? vary(alert, index) : alert;
  };
  let lastUs = 0;
  const getStamp = (index: number): [us: number, pid: number] => {
    lastUs = Math.max(lastUs + 1, getNowUs());
    return [lastUs, FIRST_PID + (index % PID_COUNT)];
  };
  if (vary)
    return stamp
      ? (index) => createAlertTemplate(pick(index)).stamped(...getStamp(index))
      : (index) => encodeAlert(pick(index));
  if (!stamp) {
    const encoded = alerts.map(encodeAlert);
    return (index) => encoded[index % encoded.length]!;
  }
  const templates = alerts.map(createAlertTemplate);
  return (index) => templates[index % templates.length]!.stamped(...getStamp(index));
}

/** Pushes alerts into `target` as `options` say, and resolves with how many it pushed. */
export async function flood(target: FloodTarget, options: FloodOptions): Promise<number> {
  const { count = Number.POSITIVE_INFINITY, ratePerSec, signal } = options;
  if (count === Number.POSITIVE_INFINITY && !signal) throw new RangeError("an endless flood needs a signal");
  const encode = createEncoder(options);
  const startMs = performance.now();
  let pushed = 0;
  while (pushed < count && !signal?.aborted) {
    const due = ratePerSec
      ? Math.floor(((performance.now() - startMs) * ratePerSec) / 1000) + 1
      : Number.POSITIVE_INFINITY;
    const batchEnd = Math.min(count, due, pushed + BATCH);
    while (pushed < batchEnd) {
      const room = target.room(signal);
      if (room) await waitUnlessAborted(room, signal);
      if (signal?.aborted) break;
      target.pushRaw(encode(pushed));
      pushed += 1;
    }
    if (pushed >= count) break;
    if (ratePerSec && pushed >= due) await pause((pushed * 1000) / ratePerSec - (performance.now() - startMs), signal);
    else await setImmediate();
  }
  return pushed;
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return waitUnlessAborted(setTimeout(Math.max(1, ms), undefined, signal ? { signal } : {}), signal);
}

/** Waits for the promise; an abort ends the wait without an error. */
async function waitUnlessAborted(promise: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  try {
    await promise;
  } catch (error) {
    if (!signal?.aborted) throw error;
  }
}
