// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Channel credentials that keep the sockets of a gRPC channel, because closing a channel of @grpc/grpc-js is graceful: it
// waits for a peer that may never answer.
// Invariant: after `cut` no socket of the channel is open, and none is used again.

import type { Socket } from "node:net";
import { ChannelCredentials } from "@grpc/grpc-js";

type SecureConnector = ReturnType<ChannelCredentials["_createSecureConnector"]>;
type ConnectorArguments = Parameters<ChannelCredentials["_createSecureConnector"]>;

export class ChannelSockets extends ChannelCredentials {
  readonly #credentials: ChannelCredentials;
  readonly #onConnectFailed: (error: unknown) => void;
  readonly #sockets = new Set<Socket>();
  #isCut = false;

  /** `onConnectFailed` gets the error of a TLS handshake, which the channel reports as text without its code. */
  constructor(credentials: ChannelCredentials, onConnectFailed: (error: unknown) => void = () => {}) {
    super();
    this.#credentials = credentials;
    this.#onConnectFailed = onConnectFailed;
  }

  /** Destroys all sockets, and those that are still being connected as soon as they are. */
  cut(): void {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  override _isSecure(): boolean {
    return this.#credentials._isSecure();
  }

  override _equals(other: ChannelCredentials): boolean {
    return this === other;
  }

  override _createSecureConnector(...args: ConnectorArguments): SecureConnector {
    const connector = this.#credentials._createSecureConnector(...args);
    return {
      connect: (socket) => this.#connect(connector, socket),
      waitForReady: () => connector.waitForReady(),
      getCallCredentials: () => connector.getCallCredentials(),
      destroy: () => connector.destroy(),
    };
  }

  async #connect(connector: SecureConnector, socket: Socket): ReturnType<SecureConnector["connect"]> {
    if (this.#isCut) {
      socket.destroy();
      throw new Error("the channel is closed");
    }
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    try {
      return await connector.connect(socket);
    } catch (error) {
      this.#onConnectFailed(error);
      throw error;
    }
  }
}
