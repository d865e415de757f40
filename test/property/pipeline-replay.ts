// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// `replay` as a function: alerts in, files and words out.

import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { Readable } from "node:stream";
import { parse } from "yaml";
import { createFileSource } from "../../src/alerts/file-source.ts";
import type { Report } from "../../src/api/v1alpha1.ts";
import { replay } from "../../src/cli/replay.ts";
import { parseConfig } from "../../src/config/config.ts";
import { createDirectorySink } from "../../src/sinks/directory-sink.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { SIGNAL } from "../support/signal.ts";

export interface Replayed {
  code: number;
  /** Printed text, the directory's name replaced. */
  out: string;
  err: string;
  /** Text of each file by its path in the directory. */
  files: Record<string, string>;
  reports: Report[];
}

/** Replays JSON lines into a directory of its own. */
export async function runReplay(lines: string, configText?: string): Promise<Replayed> {
  const directory = await mkdtemp(join(tmpdir(), "pvo-golden-"));
  try {
    const result = parseConfig({ fileText: configText, place: { identity: "test" } });
    if (!("config" in result)) throw new Error(JSON.stringify(result.problems));
    const printed = { out: "", err: "" };
    const code = await replay(
      {
        config: result.config,
        feed: createFileSource({ input: Readable.from([Buffer.from(lines)]) }),
        sink: createDirectorySink(directory, result.config.cluster.name),
        clock: new FakeClock(),
        terminal: {
          out(text) {
            printed.out += text;
          },
          err(text) {
            printed.err += text;
          },
          isInteractive: false,
          stdin: Readable.from([]),
        },
        out: directory,
      },
      SIGNAL,
    );
    const files = await readTree(directory);
    const reports = Object.values(files).map((text) => parse(text) as Report);
    return { code, out: printed.out.replaceAll(directory, "DIR"), err: printed.err, files, reports };
  } finally {
    await rm(directory, { recursive: true });
  }
}

/** Every file below a directory by its path; nothing for a directory that is not there. */
export async function readTree(directory: string): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    files[relative(directory, path)] = await readFile(path, "utf8");
  }
  return Object.fromEntries(Object.entries(files).sort(([a], [b]) => (a < b ? -1 : 1)));
}
