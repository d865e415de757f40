// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Everything that `run` does with an alert, writer on, into a sink in memory.

import { parseConfig } from "../src/config/config.ts";
import { Pipeline } from "../src/controller/pipeline.ts";
import { relayFeed } from "../src/feed/relay.ts";
import { systemClock } from "../src/lib/clock.ts";
import { pipelineOptions } from "../src/pipeline-options.ts";
import { silentLogger } from "../src/telemetry/log.ts";
import { MemorySink } from "../test/support/memory-sink.ts";
import { Stopwatch } from "./stopwatch.ts";

const [address = "", count = "0"] = process.argv.slice(2);
const parsed = parseConfig({ place: { identity: "bench" } });
if (!("config" in parsed)) throw new Error("the defaults are a configuration");
const stopwatch = new Stopwatch(Number(count));
let writes = 0;
const pipeline = new Pipeline(pipelineOptions(parsed.config, "bench"), {
  sink: new MemorySink(),
  events: { record() {} },
  clock: systemClock,
  logger: silentLogger,
  onReport: () => writes++,
});
pipeline.writer.start();
const onAlert = pipeline.onAlert.bind(pipeline);
pipeline.onAlert = (alert, line) => {
  onAlert(alert, line);
  if (!stopwatch.tick()) return;
  if (!pipeline.books.balanced) throw new Error("the books do not balance");
  stopwatch.print({ writes });
  process.exit(0);
};
await relayFeed({ address }, systemClock, silentLogger).run(pipeline, new AbortController().signal);
