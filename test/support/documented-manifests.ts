// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The Kubernetes objects that a document shows, as a reader would copy them.
// Invariant: nothing of what is shown is left out or changed.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";

const DOCS = join(import.meta.dirname, "../../docs");

/** An object of a manifest; its other fields are those of its kind. */
export interface ShownObject {
  apiVersion: string;
  kind: string;
  metadata: { name?: string; namespace?: string; annotations?: Record<string, string> };
  // biome-ignore lint/suspicious/noExplicitAny: a manifest of any kind.
  spec?: any;
}

/** Every object in the YAML blocks of a file in docs/, in the order of the text; snippets that are not objects are not. */
export function readDocumentedObjects(file: string): ShownObject[] {
  const text = readFileSync(join(DOCS, file), "utf8");
  const blocks = [...text.matchAll(/^```yaml\n(.*?)^```$/gms)].map(([, block = ""]) => block);
  return blocks
    .flatMap((block) => parseAllDocuments(block).map((document) => document.toJS() as Partial<ShownObject>))
    .filter((value): value is ShownObject => value?.apiVersion !== undefined && value.kind !== undefined);
}
