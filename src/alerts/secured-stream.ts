// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Secures the connection of a stream: decides how to connect, probes a TLS peer, opens the stream, and explains its end.
// Invariant: a stream with TLS is opened only after a probe, and its connection is verified by OpenSSL again.

import { X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { credentials } from "@grpc/grpc-js";
import type { Clock } from "../lib/clock.ts";
import { type AlertStreamOptions, createAlertStream, DEFAULT_HEALTH_TIMEOUT_MS } from "./alert-stream.ts";
import { ChannelSockets } from "./channel-sockets.ts";
import type { AlertStream, StreamEnd } from "./reconnecting-source.ts";
import { explainTlsError, getTlsHint } from "./tls/errors.ts";
import type { TlsMaterial } from "./tls/material.ts";
import type { ChooseSecurity } from "./tls/mode.ts";
import { checkPeerHost, type ExpectedPeer, explainOpenSslError } from "./tls/peer.ts";
import { type PeerText, RELAY_PEER } from "./tls/peer-text.ts";
import { type ProbeResult, probePeer, splitAddress } from "./tls/probe.ts";

export interface SecuredStreamOptions extends AlertStreamOptions {
  /** Asked before each connection. */
  security: ChooseSecurity;
  /** The name that the peer's certificate must be for; empty or absent: the host in `address`. */
  serverName?: string;
  /** For messages; default the relay. */
  peer?: PeerText;
}

type GoodProbe = Exclude<ProbeResult, { message: string }>;

/** Returns a function that decides how to connect, opens a stream, and says in its end what TLS had to do with it. */
export function createSecuredStream(options: SecuredStreamOptions, clock: Clock): AlertStream {
  const { address, serverName, peer = RELAY_PEER } = options;
  return async (listener, signal) => {
    const security = await options.security(signal);
    if (security.kind === "refused") return security;
    if (security.kind === "plaintext") return addTlsHint(await createAlertStream(options, clock)(listener, signal));
    const { material } = security;
    const expected: ExpectedPeer = {
      peer,
      host: serverName || getHost(address),
      authorities: material.authorities,
      caName: material.caName,
      nowMs: clock.nowMs(),
    };
    const timeoutMs = options.healthTimeoutMs ?? DEFAULT_HEALTH_TIMEOUT_MS;
    const probed = await probePeer({ address, expected, timeoutMs }, material, clock, signal);
    if ("message" in probed) return probed;
    return await openVerified(options, clock, { material, expected, probed })(listener, signal);
  };
}

/** The host of `host:port`, as it appears in certificates: without brackets, and without a root's dot. */
export function getHost(address: string): string {
  return splitAddress(address).host.replace(/\.$/, "");
}

/** Opens a stream on a connection that OpenSSL verifies with the authorities that the probe settled on. */
function openVerified(
  options: SecuredStreamOptions,
  clock: Clock,
  peer: { material: TlsMaterial; expected: ExpectedPeer; probed: GoodProbe },
): AlertStream {
  const { material, expected, probed } = peer;
  const context = probed.kind === "by_pinned_leaf" ? material.pin(probed.leaf) : material.context;
  return async (listener, signal) => {
    let problem: string | undefined;
    const verified = credentials.createFromSecureContext(context, {
      checkServerIdentity: (_, shown) => {
        problem = checkPeerHost(new X509Certificate(shown.raw), expected);
        return problem === undefined ? undefined : new Error(problem);
      },
    });
    const channel = new ChannelSockets(verified, (error) => {
      problem ??= explainHandshake(error, probed.leaf, expected);
    });
    const end = await createAlertStream(
      // An IP address is not allowed as a server name (RFC 6066, 3), and @grpc/grpc-js can't go without one.
      { ...options, serverName: isIP(expected.host) ? "kubearmor" : expected.host },
      clock,
      channel,
    )(listener, signal);
    return problem === undefined ? end : { kind: "refused", message: problem };
  };
}

function explainHandshake(error: unknown, leaf: X509Certificate, expected: ExpectedPeer): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code = "" } = error as NodeJS.ErrnoException;
  const explained = explainTlsError(error, expected.peer);
  if (explained !== undefined) return explained;
  // Errors of the network have a syscall, those of OpenSSL's verification do not.
  return code === "" || "syscall" in error
    ? undefined
    : explainOpenSslError({ code, message: error.message }, leaf, expected);
}

function addTlsHint(end: StreamEnd): StreamEnd {
  const hint = end.kind === "error" ? getTlsHint(end.message) : undefined;
  return hint === undefined ? end : { kind: end.kind, message: end.message + hint };
}
