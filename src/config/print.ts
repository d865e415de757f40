// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Prints the configuration in force as a file that could be used as one.
// Invariant: the printed text, read again, gives the same configuration.

import { Document, isScalar, type Node } from "yaml";
import type { Config } from "./config.ts";

/** Returns YAML; values that are not the default carry a comment that says where they came from. */
export function printConfig(config: Config, sources: ReadonlyMap<string, string> = new Map()): string {
  const document = new Document(config);
  for (const [path, source] of sources) {
    const node = document.getIn(path.split("."), true) as Node | undefined;
    if (isScalar(node)) node.comment = ` ${source}`;
    else if (node !== undefined) node.commentBefore = ` ${source}`;
  }
  return document.toString({ lineWidth: 0 });
}
