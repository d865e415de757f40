// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Reads many nodes in a process of its own, so that its memory and processor time can be measured:
// `node-reader.ts PORT NODES [TLS-FOLDER]`. Each line of standard input is answered with its counts; it ends with its input.

import { createInterface } from "node:readline";
import { NodeSource } from "../../src/alerts/node-source.ts";
import { createFileStore } from "../../src/alerts/tls/files.ts";
import { plaintext, requireTls } from "../../src/alerts/tls/mode.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { silentLogger } from "../../src/lib/logger.ts";

const [port, nodes, dir] = process.argv.slice(2);
const counts = { alerts: 0, rejected: 0, disconnects: 0 };
const security =
  dir === undefined
    ? plaintext
    : requireTls(
        createFileStore({ ca: `${dir}/ca.crt`, certificate: `${dir}/client.crt`, privateKey: `${dir}/client.key` }),
        systemClock,
      );
const source = new NodeSource(
  {
    security,
    async followNodes(observer, signal) {
      for (let i = 0; i < Number(nodes); i++) {
        const address = `127.1.${i >> 8}.${i & 0xff}:${port}`;
        observer.onNode({ uid: `uid-${i}`, node: `node-${i}`, addresses: [address] });
      }
      observer.onListed();
      await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    },
  },
  systemClock,
  silentLogger,
);
const stop = new AbortController();
createInterface(process.stdin)
  .on("line", () => {
    const { problem, nodes: counted } = source;
    process.stdout.write(`${JSON.stringify({ ...counts, ...counted, problem: problem ?? "" })}\n`);
  })
  .on("close", () => stop.abort());
await source.run(
  {
    onAlert: () => void counts.alerts++,
    onRejected: () => void counts.rejected++,
    onConnected: () => {},
    onDisconnected: () => void counts.disconnects++,
  },
  stop.signal,
);
