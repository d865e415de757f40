// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// JSONPath as kubectl writes it, on a library with another dialect: templates with {range}, quoted keys, unions of keys,
// escaped dots, negative indexes. https://kubernetes.io/docs/reference/kubectl/jsonpath/

import { JSONPath } from "jsonpath-plus";
import { getErrorMessage } from "../../../src/lib/error-message.ts";
import { createUsageError } from "../reports/problem.ts";
import { plain } from "../text/escape.ts";

const QUOTED = String.raw`"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'`;
/** An action of a template; a brace within quotes is text. */
const ACTION = new RegExp(String.raw`(\{(?:${QUOTED}|[^{}"'])*\})`, "s");
const LITERAL = new RegExp(`^(?:${QUOTED})$`, "s");
/** Content of the brackets of a path: keys, numbers, a slice or a filter. */
const BRACKETS = new RegExp(String.raw`\[((?:${QUOTED}|[^[\]"'])*)\]`, "gs");
/** A field, in which a \\ takes the next character literally. */
const ESCAPED_FIELD = /\.((?:[^.[\]\\\s]|\\.)*\\.(?:[^.[\]\\\s]|\\.)*)/gs;

/** Returns the values of a path; throws a PluginError for an invalid one. */
export function query(path: string, value: unknown): unknown[] {
  const text = path.trim().replace(/^\{(.*)\}$/s, "$1");
  if (text === "") throw createUsageError("invalid JSONPath: it is empty.");
  if (text === "@" || text === "." || text === "$") return [value];
  if (/[[\]]/.test(text.replace(BRACKETS, ""))) throw createPathError(path, "a bracket is open");
  const own = text
    .replace(ESCAPED_FIELD, (_, field: string) => `['${field.replace(/\\(.)/gs, "$1")}']`)
    .replace(BRACKETS, (_, inner: string) => `[${translateBrackets(inner.trim())}]`);
  try {
    const rooted = own.startsWith("$") ? own : `$${/^[.[]/.test(own) ? "" : "."}${own.replace(/^@/, "")}`;
    return JSONPath({ path: rooted, json: value as object, eval: "safe", wrap: true }) as unknown[];
  } catch (error) {
    throw createPathError(path, getErrorMessage(error));
  }
}

function createPathError(path: string, why: string): Error {
  return createUsageError(`invalid JSONPath "${plain(path)}": ${plain(why)}.`);
}

function translateBrackets(inner: string): string {
  const [, before] = /^-(\d+)$/.exec(inner) ?? [];
  // The library counts from the end in slices alone.
  if (before !== undefined) return `-${before}:${before === "1" ? "" : `-${Number(before) - 1}`}`;
  const keys = inner.split(/\s*,\s*/);
  if (keys.length > 1 && keys.every((key) => LITERAL.test(key))) {
    return keys.map((key) => key.slice(1, -1)).join(",");
  }
  return LITERAL.test(inner) ? `'${inner.slice(1, -1)}'` : inner;
}

/** Prints a value in a cell or a template. */
export function toText(value: unknown): string {
  return typeof value === "object" && value !== null ? JSON.stringify(value) : String(value ?? "");
}

/** Renders kubectl's template: text, `{.path}`, `{"text"}`, `{range .path}…{end}`. */
export function renderTemplate(template: string, root: unknown): string {
  const tokens = template.split(ACTION).filter((token) => token !== "");
  let at = 0;
  const block = (value: unknown): string => {
    let out = "";
    for (; at < tokens.length; at++) {
      const token = tokens[at] ?? "";
      const inner = /^\{(.*)\}$/s.exec(token)?.[1]?.trim();
      if (inner === undefined) out += token;
      else if (inner === "end") return out;
      else if (LITERAL.test(inner)) out += removeQuotes(inner);
      else if (inner.startsWith("range ")) out += loop(inner.slice("range ".length), value);
      else
        out += query(inner, inner.startsWith("$") ? root : value)
          .map(toText)
          .join(" ");
    }
    return out;
  };
  const loop = (path: string, value: unknown): string => {
    const values = query(path, value);
    const start = at + 1;
    // The body is walked once for an empty list, too, to find its end.
    const parts = (values.length === 0 ? [{}] : values).map((one) => {
      at = start;
      return block(one);
    });
    if (tokens[at] === undefined) throw createUsageError("invalid JSONPath template: {range} without {end}.");
    return values.length === 0 ? "" : parts.join("");
  };
  const out = block(root);
  if (at < tokens.length) throw createUsageError("invalid JSONPath template: {end} without {range}.");
  return out;
}

function removeQuotes(text: string): string {
  const escapes: Readonly<Record<string, string>> = { n: "\n", t: "\t" };
  return text.slice(1, -1).replace(/\\(.)/gs, (_, character: string) => escapes[character] ?? character);
}
