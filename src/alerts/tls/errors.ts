// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Translates what OpenSSL says of a failed handshake into what is wrong and what to do.
// Invariant: a pure function; an error that is none of TLS stays untranslated.

/** The alerts with which a peer refuses us (RFC 8446, 6.2), as Node names them, less its prefixes. */
const REFUSALS: Record<string, string> = {
  CERTIFICATE_REQUIRED: "it wants a client certificate and got none",
  UNKNOWN_CA: "its authority did not issue it",
  BAD_CERTIFICATE: "its authority did not issue it, or it is not for clients",
  UNSUPPORTED_CERTIFICATE: "it is not for clients",
  CERTIFICATE_EXPIRED: "it has expired by the relay's clock",
  CERTIFICATE_REVOKED: "it was revoked",
  CERTIFICATE_UNKNOWN: "it does not say why",
  ACCESS_DENIED: "it is not allowed in",
  // Go says this up to TLS 1.2 when there is none.
  HANDSHAKE_FAILURE: "it accepts none of our certificates or ciphers",
};

/** The part before `_ALERT_` names a version of TLS, or several. */
const ALERT = /^ERR_SSL_.*_ALERT_(.+)$/;

/** What OpenSSL says of bytes that are no TLS. */
const NO_TLS = new Set([
  "ERR_SSL_WRONG_VERSION_NUMBER",
  "ERR_SSL_PACKET_LENGTH_TOO_LONG",
  "ERR_SSL_HTTP_REQUEST",
  "ERR_SSL_UNEXPECTED_MESSAGE",
  "ERR_SSL_RECORD_LAYER_FAILURE",
]);

const PLAINTEXT =
  "the peer answers in plaintext, which is refused where TLS is asked for: switch KubeArmor's TLS on (its relay may still be restarting), or set feed.relay.tls.mode to off";

/** What it can mean when a peer hangs up right after the handshake, without an alert that reaches us. */
export const HUNG_UP =
  "the relay hung up right after the TLS handshake, as it does when it does not accept our client certificate";

/** Says what an error of the handshake or of the connection after it means; undefined for one that is none of TLS. */
export function explainTlsError(error: Error & { code?: string }): string | undefined {
  const code = error.code ?? "";
  if (NO_TLS.has(code)) return PLAINTEXT;
  const alert = ALERT.exec(code)?.[1];
  const refusal = alert === undefined ? undefined : REFUSALS[alert];
  if (refusal !== undefined) {
    return `the relay refuses our client certificate: ${refusal}; if KubeArmor's certificates were issued anew, restart its relay (kubectl -n kubearmor rollout restart deployment kubearmor-relay)`;
  }
  if (/before secure TLS connection was established/.test(error.message)) {
    return "the connection was closed during the TLS handshake: does the peer speak TLS?";
  }
  return code.startsWith("ERR_SSL_") || code.startsWith("ERR_TLS_")
    ? `no TLS connection: ${code}`
    : undefined;
}

/** A plaintext connection that was accepted and ended without a word of HTTP/2. */
const NO_HTTP2 = /no connection: (?:the peer closed|Protocol error|Session closed with error)/;

/** Completes the message of a plaintext connection's end where TLS may be what is missing; undefined elsewhere. */
export function hintAtTls(message: string): string | undefined {
  return NO_HTTP2.test(message)
    ? " (it may want TLS, which is off here: see feed.relay.tls.mode; or it is no KubeArmor relay)"
    : undefined;
}
