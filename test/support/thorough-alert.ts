// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// An alert that shares its cell with none but its duplicates, so that all of it is read.

import { readAlert } from "../../src/alerts/decoding/protobuf-decoder.ts";
import type { Alert, Pieces, RawAlert } from "../../src/api/alert.ts";

const NONE: Pieces = { places: new Int32Array(), length: 0 };

/** Returns the same alert, all of which decides. Its evidence is the same, in the same order. */
export function toThoroughAlert(raw: RawAlert): RawAlert {
  const known = Buffer.concat(
    [raw.subject, raw.deciding, raw.container, raw.own].flatMap(({ places, length }) =>
      Array.from({ length: length / 2 }, (_, i) => raw.bytes.subarray(places[2 * i], places[2 * i + 1])),
    ),
  );
  const bytes = Buffer.concat([known, raw.bytes]);
  return {
    bytes,
    subject: NONE,
    deciding: { places: Int32Array.of(0, known.length), length: 2 },
    container: NONE,
    own: NONE,
    timestamp: raw.timestamp,
    timeStart: known.length + raw.timeStart,
    timeEnd: known.length + raw.timeEnd,
    read: (message) => readAlert(message === bytes ? bytes.subarray(known.length) : message) as Alert,
  };
}
