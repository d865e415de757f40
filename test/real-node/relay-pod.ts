// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Runs in a pod as KubeArmor's relay: the KubeArmor node server on KubeArmor's port, and with a second port by which the
// test commands it through the API server's proxy.
// Invariant: it sends what it is asked to send, to every client alike, and reports the number.

import { createServer } from "node:http";
import { text } from "node:stream/consumers";
import { makeAlert, type WireAlert } from "../../tools/kubearmor-node/alerts.ts";
import { startNode } from "../../tools/kubearmor-node/server.ts";

const RELAY_PORT = 32_767;
const CONTROL_PORT = 8081;

/** Body of `POST /flood`. */
export interface Flood {
  /** Fields of each alert in addition to the defaults; they take turns. */
  alerts: WireAlert[];
  count: number;
  ratePerSec: number;
}

async function main(): Promise<void> {
  const node = await startNode({ host: "0.0.0.0", port: RELAY_PORT, dropLikeKubeArmor: false });
  createServer(async (request, response) => {
    const body = await text(request);
    if (request.method === "POST") {
      const { alerts, count, ratePerSec } = JSON.parse(body) as Flood;
      node
        .flood({ alert: alerts.map(makeAlert), count, ratePerSec })
        .catch((error: unknown) => process.stderr.write(`${error}\n`));
    }
    response.setHeader("Content-Type", "application/json");
    response.end(JSON.stringify(node.getStats()));
  }).listen(CONTROL_PORT, "0.0.0.0");
  process.once("SIGTERM", () => process.exit(0));
}

main().catch((error: unknown) => {
  process.stderr.write(`${error}\n`);
  process.exit(1);
});
