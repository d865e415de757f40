// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Globs over paths and other text: `*` matches any characters but `/`, `**` any characters, `?` one character but `/`,
// `\` takes the next character literally.
// Invariant: no regular expression and no backtracking. A match costs at most MAX_WORDS + 1 steps per character of the
// text, for any pattern: all positions of the pattern advance at once, 32 in one machine word.

/** Characters of a pattern from its first wildcard to its last; literal text before and after them is not limited. */
export const MAX_WILDCARD_SPAN = 64;
/** Words that hold the positions of the longest span. */
export const MAX_WORDS = MAX_WILDCARD_SPAN / 32 + 1;

/** Counts what matching costs, so that callers can bound how long they hold the event loop. */
export interface Work {
  steps: number;
}

export interface Glob {
  matches(text: string, work?: Work): boolean;
  /** True when every text matches. */
  readonly isAny: boolean;
}

const ONE = 1;
const SOME = 2;
const ANY = 3;
/** A literal character, or a wildcard. */
type Token = string | typeof ONE | typeof SOME | typeof ANY;

/** Wildcards of other dialects: taken literally they would match nothing without notice. */
const FOREIGN = "[]{}()!";
const SLASH = 47;

/** Parses a pattern; code points count as characters. `problem` is a sentence on why the pattern is invalid. */
export function parseGlob(pattern: string): Glob | { problem: string } {
  const tokens = tokenize([...pattern]);
  if (!Array.isArray(tokens)) return tokens;
  const first = tokens.findIndex(isWildcard);
  if (first < 0) return createLiteralGlob(tokens.join(""));
  const last = tokens.findLastIndex(isWildcard);
  const span = last - first + 1;
  if (span > MAX_WILDCARD_SPAN) {
    const problem = `from its first wildcard to its last a glob has at most ${MAX_WILDCARD_SPAN} characters, not ${span}`;
    return { problem };
  }
  if (tokens.length === 1 && tokens[0] === ANY) return { isAny: true, matches: () => true };
  return new WildcardGlob(
    tokens.slice(0, first).join(""),
    tokens.slice(first, last + 1),
    tokens.slice(last + 1).join(""),
  );
}

function tokenize(chars: readonly string[]): Token[] | { problem: string } {
  if (chars.length === 0) return { problem: "a glob must not be empty" };
  const tokens: Token[] = [];
  for (let at = 0; at < chars.length; at++) {
    const char = chars[at] as string;
    if (char === "*") {
      const stars = countStars(chars, at);
      if (stars > 2) return { problem: "three or more * in a row: write * or **" };
      tokens.push(stars === 2 ? ANY : SOME);
      at += stars - 1;
    } else if (char === "?") {
      tokens.push(ONE);
    } else if (char === "\\") {
      const next = chars[++at];
      if (next === undefined) return { problem: "no character follows the \\ at the end" };
      tokens.push(next);
    } else if (FOREIGN.includes(char)) {
      return { problem: `unsupported ${char}: wildcards are *, ** and ?; write \\${char} for the character` };
    } else {
      tokens.push(char);
    }
  }
  return tokens;
}

function countStars(chars: readonly string[], from: number): number {
  let end = from;
  while (chars[end] === "*") end++;
  return end - from;
}

function isWildcard(token: Token): boolean {
  return typeof token === "number";
}

function createLiteralGlob(literal: string): Glob {
  return {
    isAny: false,
    matches(text, work) {
      if (work) work.steps++;
      return text === literal;
    },
  };
}

class WildcardGlob implements Glob {
  readonly isAny = false;
  readonly #head: string;
  readonly #tail: string;
  #span: Token[] | undefined;
  /** Made for the first text that begins and ends as the pattern does: most texts do not. */
  #automaton: Automaton | undefined;

  constructor(head: string, span: Token[], tail: string) {
    this.#head = head;
    this.#span = span;
    this.#tail = tail;
  }

  matches(text: string, work?: Work): boolean {
    const end = text.length - this.#tail.length;
    if (work) work.steps += 1 + Math.min(text.length, this.#head.length + this.#tail.length);
    if (end < this.#head.length || !text.startsWith(this.#head) || !text.endsWith(this.#tail)) return false;
    this.#automaton ??= new Automaton(this.#span ?? []);
    this.#span = undefined;
    return this.#automaton.matches(text, this.#head.length, end, work);
  }
}

/**
 * The positions in a pattern that a text may have reached, as bits (Shift-And, Baeza-Yates and Gonnet 1992). Position
 * i is reached when the first i tokens that are not stars are matched; a star lets its position stay as it is.
 */
class Automaton {
  readonly #words: number;
  readonly #final: number;
  /** Positions that stay at any character, and those that stay at any but a slash. */
  readonly #any: Int32Array;
  readonly #some: Int32Array;
  /** For each character, a row of the positions that advance at it; row 0 is of characters the pattern does not name. */
  readonly #rows: Int32Array;
  readonly #rowByCode = new Map<number, number>();
  readonly #rowByAscii = new Uint16Array(128);
  readonly #reached: Int32Array;

  constructor(tokens: Token[]) {
    const steps = tokens.filter((token) => token !== SOME && token !== ANY);
    const words = (steps.length >>> 5) + 1;
    this.#final = steps.length;
    this.#words = words;
    this.#any = new Int32Array(words);
    this.#some = new Int32Array(words);
    this.#reached = new Int32Array(words);
    this.#setStars(tokens);
    const chars = steps.filter((step) => typeof step === "string").map((char) => char.codePointAt(0) as number);
    for (const code of new Set([SLASH, ...chars])) {
      const row = (this.#rowByCode.size + 1) * words;
      this.#rowByCode.set(code, row);
      if (code < 128) this.#rowByAscii[code] = row;
    }
    this.#rows = new Int32Array((this.#rowByCode.size + 1) * words);
    for (const [at, step] of steps.entries()) {
      if (typeof step === "string") setBit(this.#rows, this.#findRow(step.codePointAt(0) as number), at);
      else this.#setInAllRowsButSlash(at);
    }
  }

  #setStars(tokens: Token[]): void {
    let at = 0;
    for (const token of tokens) {
      if (token === ANY) setBit(this.#any, 0, at);
      if (token === ANY || token === SOME) setBit(this.#some, 0, at);
      else at++;
    }
  }

  #setInAllRowsButSlash(at: number): void {
    const slash = this.#findRow(SLASH);
    for (let row = 0; row < this.#rows.length; row += this.#words) {
      if (row !== slash) setBit(this.#rows, row, at);
    }
  }

  #findRow(code: number): number {
    return (code < 128 ? this.#rowByAscii[code] : this.#rowByCode.get(code)) ?? 0;
  }

  matches(text: string, start: number, end: number, work?: Work): boolean {
    const words = this.#words;
    const rows = this.#rows;
    const rowByAscii = this.#rowByAscii;
    const any = this.#any;
    const some = this.#some;
    const reached = this.#reached.fill(0);
    reached[0] = 1;
    let left = 1;
    let at = start;
    while (at < end && left !== 0) {
      const code = text.codePointAt(at) as number;
      at += code > 0xffff ? 2 : 1;
      const row = code < 128 ? (rowByAscii[code] as number) : this.#findRow(code);
      const staying = code === SLASH ? any : some;
      let carry = 0;
      left = 0;
      for (let word = 0; word < words; word++) {
        const before = reached[word] as number;
        const moving = before & (rows[row + word] as number);
        const after = (moving << 1) | carry | (before & (staying[word] as number));
        carry = moving >>> 31;
        reached[word] = after;
        left |= after;
      }
    }
    if (work) work.steps += (at - start) * words;
    return left !== 0 && ((reached[this.#final >>> 5] as number) & (1 << (this.#final & 31))) !== 0;
  }
}

function setBit(words: Int32Array, from: number, bit: number): void {
  const word = from + (bit >>> 5);
  words[word] = (words[word] as number) | (1 << (bit & 31));
}
