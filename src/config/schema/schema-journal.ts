// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The settings of the journal: a part of schema.ts.

import { path, section, wholeNumber } from "./setting.ts";

export const journal = section(
  "Storage in which counts that are not persisted in a report yet outlive the process. A restart continues them; without it a crash loses them.",
  {
    path: path({
      about:
        "The journal's file, on a volume of this replica alone; its directory must exist. Empty: no journal is kept.",
      default: "",
    }),
    maxBytes: wholeNumber({
      about:
        "Size of the journal; the volume should have twice that. A full journal takes no new counts until there is room.",
      default: 268_435_456,
      min: 1_048_576,
      max: 17_179_869_184,
      unit: "bytes",
    }),
    batchIntervalMs: wholeNumber({
      about: "Time between two batches, and so what a crash may lose; it grows to 200ms while batches take long.",
      default: 50,
      min: 5,
      max: 10_000,
      unit: "ms",
    }),
  },
);
