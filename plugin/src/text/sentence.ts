// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A sentence with names from reports in it, for a terminal and for Markdown.
// Invariant: in Markdown every name is a code span; what is around it are constants of this program.

import { plain, toCodeSpan } from "./escape.ts";

export interface Sentence {
  text: string;
  markdown: string;
}

/** Makes a sentence of a template; its strings are names from a report. */
export function say(parts: TemplateStringsArray, ...names: readonly (string | Sentence)[]): Sentence {
  const sentence = { text: "", markdown: "" };
  parts.forEach((part, i) => {
    const name = names[i] ?? "";
    sentence.text += part + (typeof name === "string" ? plain(name) : name.text);
    sentence.markdown += part + (typeof name === "string" ? toCodeSpan(name) : name.markdown);
  });
  return sentence;
}
