// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Owns the step between "open a stream" and the stream: how its connection is secured, and what that had to do with
// its end.
// Invariant: each stream has credentials of its own, made from what was decided just before it.

import type { Socket } from "node:net";
import type { Clock } from "../lib/clock.ts";
import { type AlertStreamOptions, alertStream } from "./log-service-client.ts";
import type { AlertStream, StreamEnd, StreamListener } from "./reconnecting-source.ts";
import { TlsCredentials } from "./tls/credentials.ts";
import { HUNG_UP, hintAtTls } from "./tls/errors.ts";
import type { ChooseSecurity } from "./tls/mode.ts";

export interface SecuredStreamOptions extends Omit<AlertStreamOptions, "secure"> {
  /** Asked before each connection. */
  security: ChooseSecurity;
  /** The name that the peer's certificate must be for; empty or absent: the host in `address`. */
  serverName?: string;
}

/** Returns a function that decides how to connect, opens a stream, and says of its end what TLS had to do with it. */
export function securedStream(options: SecuredStreamOptions, clock: Clock): AlertStream {
  const host = options.serverName || hostOf(options.address);
  return async (listener, signal) => {
    const security = await options.security(signal);
    if (security.kind === "refused") return security;
    if (security.kind === "plaintext") return hinted(await alertStream(options, clock)(listener, signal));
    const credentials = new TlsCredentials(security.material, host, clock);
    const watched = watch(listener);
    const secure = (socket: Socket) => credentials.secure(socket);
    const end = await alertStream({ ...options, secure }, clock)(watched.listener, signal);
    return explained(end, credentials, watched.wasAlive());
  };
}

/** The host of `host:port`, as it stands in certificates: without brackets, and without a root's dot. */
export function hostOf(address: string): string {
  const host = address.slice(0, address.lastIndexOf(":"));
  return host.replace(/^\[(.*)\]$/, "$1").replace(/\.$/, "");
}

function watch(listener: StreamListener): { listener: StreamListener; wasAlive: () => boolean } {
  let alive = false;
  return {
    wasAlive: () => alive,
    listener: {
      onAlive(nowMs) {
        alive = true;
        listener.onAlive(nowMs);
      },
      onMessage(bytes, nowMs) {
        alive = true;
        listener.onMessage(bytes, nowMs);
      },
    },
  };
}

function explained(end: StreamEnd, tls: TlsCredentials, wasAlive: boolean): StreamEnd {
  if (tls.problem !== undefined) return { kind: "refused", message: tls.problem };
  // An alert that says why may be lost on the way when the peer closes the connection right behind it.
  if (end.kind === "error" && tls.isVerified && !wasAlive) {
    return { kind: "refused", message: `${HUNG_UP} (${end.message})` };
  }
  return end;
}

function hinted(end: StreamEnd): StreamEnd {
  const hint = end.kind === "error" ? hintAtTls(end.message) : undefined;
  return hint === undefined ? end : { kind: end.kind, message: end.message + hint };
}
