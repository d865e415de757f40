// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Joins the lines of one JSON value that was printed over several.
// Invariant: holds at most `maxBytes`; a line that is a complete record ends one begun before it.

const MAX_LINES = 10_000;

/** Next step for a line. */
export type JoinedLines =
  /** It belongs to a value that is not at its end. */
  | { kind: "more" }
  /** It ends a value that began on line `number`. */
  | { kind: "whole"; text: string; number: number }
  /** It begins or continues nothing. */
  | { kind: "other" };

export class JsonLineJoiner {
  readonly #maxBytes: number;
  #lines: string[] = [];
  #bytes = 0;
  #depth = 0;
  #number = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** The line on which a value began that has not ended. */
  get open(): number | undefined {
    return this.#lines.length > 0 ? this.#number : undefined;
  }

  /** Takes a line that is not JSON by itself. */
  add(line: string, number: number): JoinedLines {
    const text = line.trim();
    if (this.#lines.length === 0) {
      // An array over several lines is taken apart: its records stand between its brackets.
      if (/^[[\]],?$/.test(text)) return { kind: "more" };
      if (!/^\[?\s*\{.*[{[,]$|^\[?\s*\{$/.test(text)) return { kind: "other" };
      this.#number = number;
    }
    const part = this.#lines.length === 0 ? text.replace(/^\[\s*/, "") : text;
    this.#lines.push(part);
    this.#bytes += part.length;
    this.#depth += measureDepth(part);
    if (this.#bytes > this.#maxBytes || this.#lines.length > MAX_LINES) {
      this.reset();
      return { kind: "other" };
    }
    if (this.#depth > 0) return { kind: "more" };
    const whole = this.#lines.join("\n").replace(/\]?,?$/, (end) => (this.#depth < 0 ? "" : end));
    this.reset();
    return { kind: "whole", text: whole, number: this.#number };
  }

  reset(): void {
    this.#lines = [];
    this.#bytes = 0;
    this.#depth = 0;
  }
}

/** Counts the brackets that a line opens, less those that it closes, outside of strings. */
function measureDepth(line: string): number {
  let depth = 0;
  let isText = false;
  for (let at = 0; at < line.length; at++) {
    const char = line[at];
    if (char === "\\" && isText) at++;
    else if (char === '"') isText = !isText;
    else if (isText) continue;
    else if (char === "{" || char === "[") depth++;
    else if (char === "}" || char === "]") depth--;
  }
  return depth;
}
