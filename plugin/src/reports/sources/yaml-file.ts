// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Reads YAML that anyone may have written, within bounds of size and time: 2 MB of anchors or of keys keep the parser
// busy for minutes.
// Invariant: a file costs at most MAX_FILE_BYTES of memory and MAX_PARSE_MS of time, and Ctrl-C ends it.

import { lstat, readFile } from "node:fs/promises";
import { Script } from "node:vm";
import { parse } from "yaml";
import { getErrorMessage } from "../../../../src/lib/error-message.ts";

/** An object in etcd is at most 1.5 MiB. */
export const MAX_FILE_BYTES = 4 * 1024 * 1024;
const MAX_PARSE_MS = 10_000;
/** Reports have no aliases, and those of a file may expand to a billion values. */
const OPTIONS = { prettyErrors: false, logLevel: "error", maxAliasCount: 0 } as const;

const CALL = new Script("globalThis[Symbol.for('kubectl-violations.parse')]()");
const SLOT = Symbol.for("kubectl-violations.parse");

/** Content of a file, or the reason why it is unknown; text is undefined where the file was not read. */
export type YamlFile = { text: string; value: unknown } | { problem: string; text?: string };

/** Reads a regular file; throws what the file system throws. */
export async function readYamlFile(path: string): Promise<YamlFile> {
  const stats = await lstat(path);
  if (stats.isSymbolicLink()) return { problem: "is a symbolic link, which is not followed" };
  if (!stats.isFile()) return { problem: "is not a regular file" };
  if (stats.size > MAX_FILE_BYTES) {
    return { problem: `is too large: ${stats.size} bytes, at most ${MAX_FILE_BYTES} are read` };
  }
  const text = await readFile(path, "utf8");
  const result = parseWithin(text, MAX_PARSE_MS);
  return "problem" in result ? { ...result, text } : { ...result, text };
}

/** Parses with a time limit; `maxMs` is for tests. */
export function parseWithin(text: string, maxMs: number): { value: unknown } | { problem: string } {
  const slots = globalThis as unknown as Record<symbol, unknown>;
  let value: unknown;
  slots[SLOT] = () => {
    value = parse(text, OPTIONS);
  };
  try {
    // A script's time limit interrupts all calls in it; nothing else interrupts a parser on this thread.
    CALL.runInThisContext({ timeout: maxMs, breakOnSigint: true });
    return { value };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ERR_SCRIPT_EXECUTION_TIMEOUT") {
      return { problem: `is not a report: reading it took more than ${maxMs / 1000} s` };
    }
    if (code === "ERR_SCRIPT_EXECUTION_INTERRUPTED") throw error;
    if (code === "MULTIPLE_DOCS") return { problem: "has several documents, and a file holds one report" };
    return { problem: `is not valid YAML (${getErrorMessage(error)})` };
  } finally {
    delete slots[SLOT];
  }
}
