// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Checksums of the journal's rows: what SQLite's own check of a file does not find is a changed value.

import { crc32 } from "node:zlib";

type Value = string | number | null;

/** The checksum of a row's values, in the order of its columns. */
export function computeChecksum(...values: Value[]): number {
  return crc32(JSON.stringify(values));
}
