// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A TCP proxy that can hold what a client sends: a cut network, of which the packets under way arrive after all.
// Invariant: nothing that a client has sent is lost, in any state of the client.

import type { AddressInfo } from "node:net";
import { connect, createServer, type Server, type Socket } from "node:net";

export class HeldProxy {
  readonly #port: number;
  readonly #server: Server;
  readonly #pairs = new Set<{ client: Socket; server: Socket; held: Buffer[] }>();
  #isHeld = false;

  /** `url` is where it leads to. */
  constructor(url: string) {
    this.#port = Number(new URL(url).port);
    this.#server = createServer((client) => this.#join(client));
  }

  get url(): string {
    return `https://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Bytes that wait. */
  get heldBytes(): number {
    const all = [...this.#pairs].flatMap(({ held }) => held);
    return all.reduce((sum, { length }) => sum + length, 0);
  }

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
  }

  async stop(): Promise<void> {
    for (const { client, server } of this.#pairs) {
      client.destroy();
      server.destroy();
    }
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** From now on nothing comes through in either direction. */
  hold(): void {
    this.#isHeld = true;
    for (const { server } of this.#pairs) server.pause();
  }

  /** Everything comes through, also what clients sent meanwhile and have given up since. */
  release(): void {
    this.#isHeld = false;
    for (const { client, server, held } of this.#pairs) {
      for (const bytes of held.splice(0)) server.write(bytes);
      server.resume();
      if (client.destroyed) server.end();
    }
  }

  #join(client: Socket): void {
    const pair = { client, server: connect(this.#port, "127.0.0.1"), held: [] as Buffer[] };
    const { server, held } = pair;
    this.#pairs.add(pair);
    if (this.#isHeld) server.pause();
    client.on("data", (bytes) => (this.#isHeld ? held.push(bytes) : server.write(bytes)));
    server.on("data", (bytes) => client.destroyed || client.write(bytes));
    client.on("close", () => this.#isHeld || server.end());
    server.on("close", () => {
      this.#pairs.delete(pair);
      client.destroy();
    });
    // An aborted connection counts as a closed one.
    client.on("error", () => client.destroy());
    server.on("error", () => server.destroy());
  }
}
