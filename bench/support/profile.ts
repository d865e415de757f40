// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Reads V8's profile of processor time: a tree of calls with the time that each had, and the stage that each is part of.
// Invariant: every moment of work is in exactly one stage.

import { join } from "node:path";
import { pathToFileURL } from "node:url";

/** V8's format (`.cpuprofile`), as far as it is used. */
export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
    readonly children?: readonly number[];
  }[];
  readonly samples: readonly number[];
  /** Microseconds before each sample. */
  readonly timeDeltas: readonly number[];
}

/** A call, with everything that it calls. */
export interface CallNode {
  readonly name: string;
  /** As in `src/alerts/protobuf-decoder.ts:40`, `@grpc/grpc-js/build/src/x.js:1`, `node:net:5`; empty for V8 itself. */
  readonly place: string;
  /** In the call itself, in microseconds. */
  readonly selfUs: number;
  /** With what it calls. */
  readonly totalUs: number;
  readonly children: readonly CallNode[];
}

export const STAGES = [
  "transport",
  "decode",
  "key",
  "aggregate",
  "write",
  "journal",
  "garbage collection",
  "other",
] as const;
export type Stage = (typeof STAGES)[number];

/**
 * Stage of code by its place; the first that fits. What is not listed (Node's own modules, built-in
 * functions) is part of its caller's stage.
 */
const STAGE_OF: readonly (readonly [RegExp, Stage])[] = [
  [/^@grpc\/|^src\/alerts\/(?:tls\/|log-service|grpc|health|reconnect|relay|secur)/, "transport"],
  [/^node:internal\/(?:http2|streams|stream_base|js_stream)|^node:(?:net|stream|http2)/, "transport"],
  [/^src\/lib\/hash|^src\/ingest\/(?:duplicates|violation)\.ts/, "key"],
  [/^src\/(?:alerts|ingest)\/|^src\/lib\/(?:sanitize|time)/, "decode"],
  [/^src\/(?:report|reconcile)\//, "write"],
  [/^src\/journal\//, "journal"],
  [/^src\/(?:sinks|kube|events)\/|^bench\/clients\/instant-sink/, "write"],
  [/^src\//, "aggregate"],
  [/^bench\//, "other"],
];

/** All that these call is theirs: they read evidence, which else is decoding. */
const ALL_BELOW: ReadonlySet<Stage> = new Set(["write", "journal"]);

/** Builds the tree of calls; `root` is the checkout's folder, to which the places are relative. */
export function callTree(profile: CpuProfile, root = join(import.meta.dirname, "../..")): CallNode {
  const base = `${pathToFileURL(root).href}/`;
  const selfUs = new Map<number, number>();
  profile.samples.forEach((id, i) => {
    selfUs.set(id, (selfUs.get(id) ?? 0) + (profile.timeDeltas[i] ?? 0));
  });
  const byId = new Map(profile.nodes.map((node) => [node.id, node]));
  const build = (id: number): CallNode => {
    const node = byId.get(id);
    if (node === undefined) throw new Error(`the profile has no node ${id}`);
    const children = (node.children ?? []).map(build);
    const { functionName, url, lineNumber } = node.callFrame;
    const self = selfUs.get(id) ?? 0;
    return {
      name: functionName === "" ? "(anonymous)" : functionName,
      place: placeOf(url, lineNumber, base),
      selfUs: self,
      totalUs: children.reduce((sum, { totalUs }) => sum + totalUs, self),
      children,
    };
  };
  const top = profile.nodes[0];
  if (top === undefined) throw new Error("the profile is empty");
  return build(top.id);
}

function placeOf(url: string, line: number, base: string): string {
  if (url === "") return "";
  const path = url.startsWith(base) ? url.slice(base.length) : url;
  return `${path.replace(/^.*node_modules\//, "")}:${line + 1}`;
}

/** False for idle time, and for what the profiler does for itself. */
export function isWork({ name, place }: CallNode): boolean {
  return name !== "(idle)" && !place.startsWith("node:inspector:");
}

/** The time of each stage, in microseconds. What is no work is in none. */
export function stageTimes(root: CallNode): Record<Stage, number> {
  const times = Object.fromEntries(STAGES.map((stage) => [stage, 0])) as Record<Stage, number>;
  const visit = (node: CallNode, callers: Stage): void => {
    if (!isWork(node)) return;
    const stage = ALL_BELOW.has(callers) ? callers : (stageOf(node) ?? callers);
    times[stage] += node.selfUs;
    for (const child of node.children) visit(child, stage);
  };
  visit(root, "other");
  return times;
}

function stageOf({ name, place }: CallNode): Stage | undefined {
  if (name === "(garbage collector)") return "garbage collection";
  // Work of V8 and libuv outside of JavaScript, which is reading sockets and cutting frames.
  if (name === "(program)") return "transport";
  return STAGE_OF.find(([pattern]) => pattern.test(place))?.[1];
}
