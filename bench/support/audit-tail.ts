// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The requests that the API server answered since a mark, without reading its whole audit log again.

import { closeSync, openSync, readSync, statSync } from "node:fs";
import type { AuditEntry } from "../../tools/cluster/cluster-audit.ts";

/** Distinguishes the operator's requests from others. */
const USER_AGENT = "policy-violation-operator/";

export class AuditTail {
  readonly #path: string;
  readonly #from: number;

  /** Sets the mark at the end of the log. */
  constructor(path: string) {
    this.#path = path;
    this.#from = statSync(path).size;
  }

  /** All answered requests since the mark. */
  readEntries(): AuditEntry[] {
    const length = statSync(this.#path).size - this.#from;
    const bytes = Buffer.alloc(length);
    const file = openSync(this.#path, "r");
    const read = readSync(file, bytes, 0, length, this.#from);
    closeSync(file);
    const lines = bytes.toString("utf8", 0, read).split("\n");
    lines.pop();
    const entries = lines.filter((line) => line !== "").map((line) => JSON.parse(line) as AuditEntry);
    return entries.filter(({ stage }) => stage === "ResponseComplete");
  }

  /** Those of them that operators sent. */
  readOfOperators(): AuditEntry[] {
    return this.readEntries().filter(({ userAgent }) => userAgent?.startsWith(USER_AGENT));
  }
}
