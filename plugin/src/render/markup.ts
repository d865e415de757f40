// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// HTML and XML from elements: text and attributes are escaped by the renderer, and made plain before.
// Invariant: no text becomes markup but through `raw`, which takes constants of this program.

import { type ComponentChild, h as createElement, Fragment, type VNode } from "preact";
import { render } from "preact-render-to-string";
import { plain } from "../text/escape.ts";

export type Child = VNode | string | number | undefined | false | readonly Child[];
export type Attributes = Readonly<Record<string, string | number | boolean | undefined>>;

/** Makes an element; every text and every attribute loses its control characters, and empty attributes are left out. */
export function el(tag: string, attributes: Attributes = {}, ...children: readonly Child[]): VNode {
  const safe = Object.entries(attributes).map(
    ([name, value]) => [name, typeof value === "string" ? plain(value) : value] as const,
  );
  // The renderer prints an empty one without its value, which XML forbids.
  const present = Object.fromEntries(safe.filter(([, value]) => value !== ""));
  return createElement(tag, present, ...children.map(toChild));
}

/** Groups elements without an element around them. */
export function group(...children: readonly Child[]): VNode {
  return createElement(Fragment, null, ...children.map(toChild));
}

/** Makes an element with constant content, such as a style sheet. */
export function raw(tag: string, content: string): VNode {
  return createElement(tag, { dangerouslySetInnerHTML: { __html: content } });
}

function toChild(child: Child): ComponentChild {
  if (typeof child === "string") return toPlainInline(child);
  if (Array.isArray(child)) return (child as readonly Child[]).map(toChild);
  return child as ComponentChild;
}

/** Keeps one space at each end, for text between elements. */
function toPlainInline(text: string): string {
  const safe = plain(text);
  return `${/^\s/.test(text) ? " " : ""}${safe}${/\s$/.test(text) ? " " : ""}`;
}

/** Prints elements as an XML document; the renderer leaves `>` as it is, which XML forbids behind `]]`. */
export function renderXml(node: VNode): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n${renderMarkup(node).replaceAll("]]>", "]]&gt;")}\n`;
}

/** Prints elements. */
export function renderMarkup(node: VNode): string {
  return render(node);
}
