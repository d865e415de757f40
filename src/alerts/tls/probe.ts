// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A TLS handshake that only looks at the peer, before the connection that carries the stream: decides whether the peer's
// certificate is good and which authorities the next connection is verified with, and finds out why a peer refuses ours.
// Invariant: sends no byte after the handshake, and leaves no socket.

import { isIP } from "node:net";
import { connect, type TLSSocket } from "node:tls";
import type { Clock } from "../../lib/clock.ts";
import { explainHangUp, explainTlsError } from "./errors.ts";
import type { TlsMaterial } from "./material.ts";
import { type ExpectedPeer, judgePeer, type PeerVerdict, type ShownCertificate } from "./peer.ts";
import type { PeerText } from "./peer-text.ts";

export interface ProbeTarget {
  /** `host:port`. */
  address: string;
  expected: ExpectedPeer;
  timeoutMs: number;
}

export type ProbeResult =
  | (Exclude<PeerVerdict, { kind: "refused" }> & { leaf: ShownCertificate["leaf"] })
  /** The peer is not safe to talk to, or does not want to talk to us. */
  | { kind: "refused"; message: string }
  /** There is no connection, and TLS is not the reason. */
  | { kind: "error"; message: string };

/**
 * For a peer that says nothing after the handshake. A gRPC server sends its settings at once, and most send a session
 * ticket; both come after it has accepted our certificate.
 */
const ACCEPTANCE_MS = 1_000;

/** Connects, decides, and closes the connection. */
export function probePeer(
  { address, expected, timeoutMs }: ProbeTarget,
  material: TlsMaterial,
  clock: Clock,
  signal: AbortSignal,
): Promise<ProbeResult> {
  return new Promise((resolve) => {
    const { host, port } = splitAddress(address);
    const socket = connect({
      host,
      port,
      secureContext: material.context,
      ALPNProtocols: ["h2"],
      // An IP address is not allowed as a server name (RFC 6066, 3).
      ...(isIP(expected.host) ? {} : { servername: expected.host }),
      // OpenSSL's verdict is asked for and judged here; the connection ends before a byte is sent.
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
    });
    let verdict: ProbeResult | undefined;
    let isAccepted = false;
    const end = (result: ProbeResult) => {
      cancelTimer();
      signal.removeEventListener("abort", stop);
      socket.destroy();
      resolve(result);
    };
    const stop = () => end({ kind: "error", message: "stopped" });
    let cancelTimer = clock.after(timeoutMs, () =>
      end({ kind: "error", message: `the TLS handshake had no answer within ${timeoutMs} ms` }),
    );
    const accepted = () => {
      isAccepted = true;
      if (verdict !== undefined) end(verdict);
    };
    socket.on("error", (error: NodeJS.ErrnoException) => end(connectFailure(error, address, expected.peer)));
    socket.once("close", () => end({ kind: "refused", message: explainHangUp(expected.peer) }));
    socket.once("session", accepted);
    socket.once("data", accepted);
    socket.once("secureConnect", () => {
      verdict = judge(socket, expected);
      if (isAccepted || verdict.kind === "refused") return end(verdict);
      cancelTimer();
      cancelTimer = clock.after(ACCEPTANCE_MS, accepted);
    });
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();
  });
}

/** The host of `host:port` without the brackets of an IPv6 address. */
export function splitAddress(address: string): { host: string; port: number } {
  const colon = address.lastIndexOf(":");
  return { host: address.slice(0, colon).replace(/^\[(.*)\]$/, "$1"), port: Number(address.slice(colon + 1)) };
}

function judge(socket: TLSSocket, expected: ExpectedPeer): ProbeResult {
  const leaf = socket.getPeerX509Certificate();
  if (leaf === undefined) return { kind: "refused", message: `${expected.peer.name} showed no certificate` };
  // A code, unlike its type says. Anything other than true or a code must not count as good.
  const code: unknown = socket.authorizationError;
  const openSslError = socket.authorized ? undefined : String(code ?? "not authorized");
  const verdict = judgePeer({ leaf, openSslError }, expected);
  if (verdict.kind === "refused") return verdict;
  if (socket.alpnProtocol === "h2") return { ...verdict, leaf };
  return {
    kind: "refused",
    message: "the peer speaks TLS but not gRPC (ALPN without h2): is this the address of KubeArmor or its relay?",
  };
}

function connectFailure(error: NodeJS.ErrnoException, address: string, peer: PeerText): ProbeResult {
  const explained = explainTlsError(error, peer);
  if (explained !== undefined) return { kind: "refused", message: explained };
  if (error.syscall === "getaddrinfo") {
    return { kind: "error", message: `name resolution failed for ${address} (${error.code})` };
  }
  // Of several addresses each has an error of its own.
  const errors = error instanceof AggregateError ? error.errors.map(String) : [error.message];
  return { kind: "error", message: `no connection: ${[...new Set(errors)].join(", ")}` };
}
