// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The yardstick: a grpc-js client with default options that throws the bytes away.

import { Client, credentials } from "@grpc/grpc-js";
import { Stopwatch } from "./stopwatch.ts";

const [address = "", count = "0"] = process.argv.slice(2);
const stopwatch = new Stopwatch(Number(count));
const raw = (bytes: Buffer) => bytes;
const client = new Client(address, credentials.createInsecure());
client
  .makeServerStreamRequest(
    "/feeder.LogService/WatchAlerts",
    raw,
    raw,
    Buffer.from("\x0a\x06policy", "latin1"),
  )
  .on("data", () => {
    if (!stopwatch.tick()) return;
    stopwatch.print({});
    process.exit(0);
  });
