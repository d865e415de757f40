// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Three NATS servers that keep the stream together, as in production: one of them may be away.

import { findFreePort } from "../../../tools/free-port.ts";
import { NatsServer } from "../../../tools/nats-server.ts";

export class NatsCluster {
  readonly servers: readonly NatsServer[];

  constructor(servers: NatsCluster["servers"]) {
    this.servers = servers;
  }

  static async start(count = 3): Promise<NatsCluster> {
    const ports: number[] = [];
    while (ports.length < count) ports.push(await findFreePort());
    const routes = ports.map((port) => `"nats://127.0.0.1:${port}"`).join(", ");
    const starts = ports.map((port, i) =>
      NatsServer.start({
        name: `test-${i + 1}`,
        config: `cluster { name: "test", listen: "127.0.0.1:${port}", routes: [${routes}], no_advertise: true }`,
      }),
    );
    return new NatsCluster(await Promise.all(starts));
  }

  get url(): string {
    return this.servers.map(({ url }) => url).join(",");
  }

  async stop(): Promise<void> {
    for (const server of this.servers) await server.stop();
  }
}
