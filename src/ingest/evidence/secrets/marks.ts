// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The parts of a text that are secret, collected by several rules and masked at the end.
// Invariant: the work is counted; a search is linear in the text, and ends with the budget.

export const MASK = "[REDACTED]";

/** Thrown by `Marks.spend` when the budget is used up. */
export class BudgetExceeded extends Error {}

export class Marks {
  readonly text: string;
  readonly #spans: [start: number, end: number][] = [];
  readonly #budget: { steps: number };

  /** `budget` is shared with other texts. */
  constructor(text: string, budget: { steps: number }) {
    this.text = text;
    this.#budget = budget;
  }

  spend(steps: number): void {
    this.#budget.steps -= steps;
    if (this.#budget.steps < 0) throw new BudgetExceeded();
  }

  hide(start: number, end: number): void {
    if (end > start && !this.isMasked(start, end)) this.#spans.push([start, end]);
  }

  /** Hides a value that begins at `start`; returns its end. `stops` ends a value that is not quoted. */
  hideValue(start: number, stops: string): number {
    const end = this.valueEnd(start, stops);
    this.hide(start, end);
    return end;
  }

  isMasked(start: number, end: number): boolean {
    return end - start === MASK.length && this.text.startsWith(MASK, start);
  }

  /** The end of a value: of its quotes, parentheses or mask, else the next white space or stop. */
  valueEnd(start: number, stops: string): number {
    const { text } = this;
    if (text.startsWith(MASK, start)) return start + MASK.length;
    const quote = this.quoteAt(start);
    if (quote !== "") return this.#quoteEnd(start, quote);
    if (text[start] === "(" && /["']/.test(text.slice(start + 1, start + 3))) {
      const end = text.indexOf(")", start);
      return end < 0 ? text.length : end + 1;
    }
    let end = start;
    while (end < text.length && !isSpace(text, end) && !stops.includes(text[end] as string)) {
      if (text[end] === "," && COMMA_PAIR.test(text.slice(end, end + 40))) break;
      end++;
    }
    this.spend(end - start);
    // A quote that opened before the value.
    while (end > start + 1 && /["']/.test(text[end - 1] as string)) end--;
    return end;
  }

  /** The quote that opens at `at`; a backslash before it belongs to it. */
  quoteAt(at: number): string {
    const { text } = this;
    if (text[at] === '"' || text[at] === "'") return text[at] as string;
    return text[at] === "\\" && (text[at + 1] === '"' || text[at + 1] === "'") ? text.slice(at, at + 2) : "";
  }

  #quoteEnd(start: number, quote: string): number {
    const { text } = this;
    let at = start + quote.length;
    while (at < text.length && !text.startsWith(quote, at)) at += text[at] === "\\" ? 2 : 1;
    at = Math.min(text.length, at);
    this.spend(at - start);
    return Math.min(text.length, at + quote.length);
  }

  /** The text with its marked parts masked. */
  render(): string {
    if (this.#spans.length === 0) return this.text;
    this.#spans.sort(([a], [b]) => a - b);
    let out = "";
    let at = 0;
    for (const [start, end] of this.#spans) {
      if (end <= at) continue;
      if (start >= at) out += this.text.slice(at, start) + MASK;
      at = end;
    }
    return out + this.text.slice(at);
  }
}

/** `,name=`: the next pair of a list, as Helm and mount have them. */
const COMMA_PAIR = /^,[A-Za-z_][\w.-]{0,32}=/;

export function isSpace(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code === 32 || (code >= 9 && code <= 13);
}

/** White space between a name, its separator and its value. */
export const MAX_SPACES = 3;

/** Counts white space from a position on. */
export function spacesAt(text: string, from: number): number {
  let count = 0;
  while (count < MAX_SPACES && from + count < text.length && isSpace(text, from + count)) count++;
  return count;
}

const NO_SECRET =
  /^(?:true|false|yes|no|on|off|null|none|nil|undefined|optional|required|always|never|-|\.|\*+|\$\w+|\$\{[^}]*\}?|\$\(.*|`.*|%\w*%?|<.*|\{\{.*|projects\/[^/]+\/(?:locations\/[^/]+\/)?secrets\/.*|arn:aws[\w-]*:(?:secretsmanager|kms|ssm):.*|@[\w./-]+|file:.*|env:.*)$/i;
const PATH = /^(?:~|\.{1,2})?(?:\/[\w.@*+~-]*)+$/;
const FILE =
  /^[\w.-]{1,64}\.(?:pem|key|crt|cer|csr|txt|json|ya?ml|jks|p12|pfx|conf|cfg|ini|env|log|csv|js|ts|py|sh|hcl|tfvars|pub|asc|sig|der|gpg|db|xml|md)$/i;

/** True of a value that names no secret: a switch, a variable, a path, or nothing. */
export function isHarmless(value: string): boolean {
  const bare = unquote(value);
  if (bare === "" || NO_SECRET.test(bare)) return true;
  if (bare.length > 256 || looksRandom(bare)) return false;
  return PATH.test(bare) || FILE.test(bare);
}

export function unquote(value: string): string {
  return value.replace(/^(?:\\?["'])|(?:\\?["'])$/g, "");
}

/** True of text that is unlikely as a word: letters of both cases with digits, or long with digits. */
export function looksRandom(text: string): boolean {
  const bare = unquote(text);
  if (bare.length < 8 || bare.length > 512 || /[\s\\]/.test(bare) || DIGEST.test(bare)) return false;
  const parts = bare.split(/[/.:,_-]/);
  return parts.some(isRandomPart) || (parts.length <= 2 && /^[\w+/=~-]{20,}$/.test(bare) && mixes(bare));
}

/** `sha256:…` of a file or an image. */
const DIGEST = /(?:^|@)(?:sha(?:1|224|256|384|512)|md5)[:=][\da-f]{32,128}$/i;

function isRandomPart(part: string): boolean {
  if (part.length < 8 || !/\d/.test(part)) return false;
  if (/[a-z]/.test(part) && /[A-Z]/.test(part)) return !CAMEL_WITH_NUMBER.test(part);
  return part.length >= 24 && /[A-Za-z]/.test(part);
}

/** `Python3Parser`, `libFoo2`: words, and one number. */
const CAMEL_WITH_NUMBER = /^[A-Za-z]?[a-z]+(?:[A-Z][a-z]+)*\d{0,3}(?:[A-Z][a-z]+)*$/;

function mixes(text: string): boolean {
  return /\d.*\d/.test(text) && /[A-Za-z].*[A-Za-z]/.test(text);
}
