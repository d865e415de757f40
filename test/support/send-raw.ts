// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Alerts of tests as a stream delivers them: as bytes, so that they are counted in cells.

import { isDeepStrictEqual } from "node:util";
import { readAlert } from "../../src/alerts/decoding/protobuf-decoder.ts";
import { RawAlertReader } from "../../src/alerts/decoding/protobuf-scanner.ts";
import type { Alert } from "../../src/api/alert.ts";
import type { Pipeline } from "../../src/app/pipeline/pipeline.ts";
import { toWire } from "./ingest-bed.ts";

const reader = new RawAlertReader();

/** Has the pipeline receive each decoded alert that did not come from a file as the bytes that it was decoded from. */
export function sendRaw(pipeline: Pipeline): Pipeline {
  const onAlert = pipeline.onAlert.bind(pipeline);
  pipeline.onAlert = (alert, line) => {
    const bytes = line === 0 && !("deciding" in alert) ? encode(alert) : undefined;
    onAlert(bytes && reader.find(bytes) ? reader : alert, line);
  };
  return pipeline;
}

/** Returns undefined for an alert that no bytes mean. */
function encode(alert: Alert): Buffer | undefined {
  const bytes = toWire(alert);
  return isDeepStrictEqual(readAlert(bytes), alert) ? bytes : undefined;
}
