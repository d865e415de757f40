// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Explains errors of a TLS handshake: the problem and the remedy.
// Invariant: pure; errors of other kinds are not explained.

import type { PeerText } from "./peer-text.ts";

/** Alerts with which a peer refuses our certificate (RFC 8446, 6.2), as Node names them without its prefixes. */
const REFUSALS: Record<string, string> = {
  CERTIFICATE_REQUIRED: "it requires a client certificate and got none",
  UNKNOWN_CA: "its authority did not issue it",
  BAD_CERTIFICATE: "its authority did not issue it, or it is not for clients",
  UNSUPPORTED_CERTIFICATE: "it is not for clients",
  CERTIFICATE_EXPIRED: "it has expired by the peer's clock",
  CERTIFICATE_REVOKED: "it was revoked",
  CERTIFICATE_UNKNOWN: "it gives no reason",
  ACCESS_DENIED: "access is denied",
  // Sent by Go up to TLS 1.2 where there is no certificate.
  HANDSHAKE_FAILURE: "it accepts none of our certificates or ciphers",
};

/** The part before `_ALERT_` names one version of TLS or several. */
const ALERT = /^ERR_SSL_.*_ALERT_(.+)$/;

/** OpenSSL's codes for bytes that are not TLS. */
const NO_TLS = new Set([
  "ERR_SSL_WRONG_VERSION_NUMBER",
  "ERR_SSL_PACKET_LENGTH_TOO_LONG",
  "ERR_SSL_HTTP_REQUEST",
  "ERR_SSL_UNEXPECTED_MESSAGE",
  "ERR_SSL_RECORD_LAYER_FAILURE",
]);

const PLAINTEXT =
  "the peer answers in plaintext, which is refused where TLS is required: turn on KubeArmor's TLS (it may still be restarting), or set feed.relay.tls.mode to off";

/** Explains that a peer closed the connection right after the handshake, without an alert. */
export function explainHangUp({ name }: PeerText): string {
  return `${name} hung up right after the TLS handshake, as it does when it does not accept our client certificate`;
}

/** Explains an error of the handshake or of the connection after it; returns undefined for an error of another kind. */
export function explainTlsError(
  error: Error & { code?: string | undefined },
  { name, restart }: PeerText,
): string | undefined {
  const code = error.code ?? "";
  if (NO_TLS.has(code)) return PLAINTEXT;
  const alert = ALERT.exec(code)?.[1];
  const refusal = alert === undefined ? undefined : REFUSALS[alert];
  if (refusal !== undefined) {
    return `${name} refuses our client certificate: ${refusal}; if KubeArmor's certificates were reissued, ${restart}`;
  }
  if (/before secure TLS connection was established/.test(error.message)) {
    return "the connection was closed during the TLS handshake: does the peer speak TLS?";
  }
  return code.startsWith("ERR_SSL_") || code.startsWith("ERR_TLS_") ? `no TLS connection: ${code}` : undefined;
}

/** Failures of @grpc/grpc-js where a connection was accepted and no HTTP/2 followed. */
const NO_HTTP2 = /No connection established\. Last error: (?:Failed to connect|Protocol error|Session closed)/;

/** Completes the message of a plaintext connection that failed where TLS may be missing; undefined elsewhere. */
export function getTlsHint(message: string): string | undefined {
  return NO_HTTP2.test(message)
    ? " (it may require TLS, which is off here: see feed.relay.tls.mode; or it is not KubeArmor)"
    : undefined;
}
