// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Reads the YAML file into values by path, each with its line.
// Invariant: a broken file is described with line and column, never thrown.

import { readFileSync, statSync } from "node:fs";
import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  LineCounter,
  type Pair,
  type ParsedNode,
  parseDocument,
} from "yaml";
import { type ConfigProblem, describeValue } from "./config-problem.ts";
import { describeUnknownName, type InputValue, type Reading } from "./input-value.ts";
import { sectionByPath, settingByPath } from "./settings.ts";

/** Far above any real configuration; a wrong path (a log, a disk) is reported instead of being read. */
const MAX_FILE_BYTES = 1_048_576;

type Body = Document.Parsed<ParsedNode>;

class FileReader {
  readonly given: InputValue[] = [];
  readonly problems: ConfigProblem[] = [];
  readonly #filePath: string;
  readonly #lines: LineCounter;
  readonly #document: Body;

  constructor(filePath: string, document: Body, lines: LineCounter) {
    this.#filePath = filePath;
    this.#document = document;
    this.#lines = lines;
  }

  locate(offset: number | undefined): string {
    return offset === undefined ? this.#filePath : `${this.#filePath}:${this.#lines.linePos(offset).line}`;
  }

  readSection(path: string, node: unknown, source: string): void {
    const target = isAlias(node) ? node.resolve(this.#document) : node;
    // "reports:" with every line below it commented out.
    if (target === null || target === undefined || (isScalar(target) && target.value === null)) return;
    if (isMap(target)) {
      for (const pair of target.items) this.#readEntry(path, pair);
      return;
    }
    const keys = sectionByPath.get(path)?.keys.join(", ");
    const value = describeValue(isScalar(target) ? target.value : []);
    this.problems.push({ path, value, source, message: `must be a mapping; its keys are ${keys}` });
  }

  #readEntry(parent: string, pair: Pair): void {
    const source = this.locate(isScalar(pair.key) ? pair.key.range?.[0] : undefined);
    const key = isScalar(pair.key) ? String(pair.key.value) : "(a key that is not text)";
    const path = parent === "" ? key : `${parent}.${key}`;
    if (key === "" || key.includes(".")) {
      this.problems.push({
        path,
        source,
        message: "is not a known key; write sections as nested mappings, not with dots",
      });
    } else if (sectionByPath.has(path)) {
      this.readSection(path, pair.value, source);
    } else if (settingByPath.has(path)) {
      this.#readSetting(path, pair.value, source);
    } else {
      const known = [...settingByPath.keys(), ...sectionByPath.keys()].filter((name) => name !== "");
      this.problems.push(describeUnknownName(path, source, known, "key"));
    }
  }

  #readSetting(path: string, node: unknown, source: string): void {
    try {
      const value: unknown = isNode(node) ? node.toJS(this.#document, { maxAliasCount: 100 }) : null;
      this.given.push({ path, value, source });
    } catch (error) {
      this.problems.push({ path, source, message: String(error) });
    }
  }
}

/** Reads YAML text; `filePath` is only for the messages. */
export function readFileText(text: string, filePath: string): Reading {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const problems = [...document.errors, ...document.warnings].map((error): ConfigProblem => {
    const { line, col } = lines.linePos(error.pos[0]);
    return { path: "", source: `${filePath}:${line}:${col}`, message: `is not valid YAML: ${error.message}` };
  });
  // Parsing a broken text would only bring follow-up problems.
  if (problems.length > 0) return { given: [], problems };
  const reader = new FileReader(filePath, document, lines);
  reader.readSection("", document.contents, reader.locate(document.contents?.range[0]));
  return { given: reader.given, problems: reader.problems };
}

/** Loads the text of a configuration file, or says why it can't be had. Reads synchronously: nothing runs yet. */
export function loadFileText(filePath: string): { text: string } | { problems: ConfigProblem[] } {
  const refuse = (message: string) => ({ problems: [{ path: "", source: filePath, message }] });
  try {
    const stat = statSync(filePath);
    if (stat.isDirectory()) return refuse("is a directory; --config takes a file");
    if (stat.size > MAX_FILE_BYTES) return refuse(`has more than ${MAX_FILE_BYTES} bytes; is it the right file?`);
    return { text: readFileSync(filePath, "utf8") };
  } catch (error) {
    return refuse(`can't be read: ${(error as Error).message}`);
  }
}
