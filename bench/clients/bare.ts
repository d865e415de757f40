// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The baseline: a grpc-js client that discards the bytes, with default options, or with the flow control window (bytes) of
// the second argument.

import { Client, credentials } from "@grpc/grpc-js";
import { followCommands } from "./meter.ts";

const [address = ""] = process.argv.slice(2);
const keepRaw = (bytes: Buffer) => bytes;
let received = 0;
const client = new Client(address, credentials.createInsecure());
client
  .makeServerStreamRequest("/feeder.LogService/WatchAlerts", keepRaw, keepRaw, Buffer.from("\x0a\x06policy", "latin1"))
  .on("data", () => {
    received++;
  });
followCommands(
  () => received,
  () => undefined,
);
