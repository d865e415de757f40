// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Owns a way to cut the connections of a gRPC channel: the library waits without end for a peer that accepts and then
// says nothing, and keeps the socket even when the channel is closed (grpc/grpc-node#2785).
// Invariant: changes nothing about how a connection is made or secured.

import type { Socket } from "node:net";
import type { CallCredentials } from "@grpc/grpc-js";
import { ChannelCredentials } from "@grpc/grpc-js";

type CreateSecureConnector = ChannelCredentials["_createSecureConnector"];

/** Credentials that do as the given ones do and know the sockets of their connections. */
export class CuttableCredentials extends ChannelCredentials {
  readonly #inner: ChannelCredentials;
  readonly #sockets = new Set<Socket>();

  constructor(inner: ChannelCredentials) {
    super();
    this.#inner = inner;
  }

  /** Destroys every connection at once, without a word to the peer. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  override _isSecure(): boolean {
    return this.#inner._isSecure();
  }

  override _equals(other: ChannelCredentials): boolean {
    return this === other;
  }

  override _createSecureConnector(
    target: Parameters<CreateSecureConnector>[0],
    options: Parameters<CreateSecureConnector>[1],
    callCredentials?: CallCredentials,
  ): ReturnType<CreateSecureConnector> {
    const connector = this.#inner._createSecureConnector(target, options, callCredentials);
    return {
      connect: (socket) => {
        this.#sockets.add(socket);
        socket.once("close", () => this.#sockets.delete(socket));
        return connector.connect(socket);
      },
      waitForReady: () => connector.waitForReady(),
      getCallCredentials: () => connector.getCallCredentials(),
      destroy: () => connector.destroy(),
    };
  }
}
