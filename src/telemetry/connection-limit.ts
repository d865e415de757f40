// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Bound of the connections of a server. Invariant: a client that holds many of them locks out no other: at the bound
// the oldest connection of the address with the most is closed.

import type { Server } from "node:http";
import type { Socket } from "node:net";

/** Closes connections beyond `most`. */
export function limitConnections(server: Server, most: number): void {
  const open = new OpenConnections();
  server.on("connection", (socket) => {
    const { remoteAddress = "" } = socket;
    open.add(socket, remoteAddress);
    socket.once("close", () => open.delete(socket, remoteAddress));
    if (open.count > most) open.removeOldest().destroy();
  });
}

/** Connections in the order of their beginning, by the address of the client. */
class OpenConnections {
  readonly #byAddress = new Map<string, Set<Socket>>();
  count = 0;

  add(socket: Socket, address: string): void {
    this.#byAddress.set(address, (this.#byAddress.get(address) ?? new Set()).add(socket));
    this.count++;
  }

  delete(socket: Socket, address: string): void {
    const own = this.#byAddress.get(address);
    if (!own?.delete(socket)) return;
    this.count--;
    if (own.size === 0) this.#byAddress.delete(address);
  }

  /** Removes the oldest of the address with the most. */
  removeOldest(): Socket {
    const [address, own] = [...this.#byAddress].reduce((a, b) => (b[1].size > a[1].size ? b : a));
    const oldest = own.values().next().value as Socket;
    this.delete(oldest, address);
    return oldest;
  }
}
