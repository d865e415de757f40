// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Our side of a TLS connection: our certificate and key, and the authorities that we trust.
// Invariant: a pure function of the texts and the time; no message contains a secret.

import type { X509Certificate } from "node:crypto";
import { createSecureContext, type SecureContext } from "node:tls";
import { getErrorMessage } from "../../lib/error-message.ts";
import { type PemText, parseAuthorities, parseOwnCertificate, UnusablePem } from "../../lib/pem.ts";

/** Everything that a connection with mutual TLS needs. */
export interface TlsMaterial {
  /** Source of the authorities, for messages. */
  caName: string;
  authorities: readonly X509Certificate[];
  /** Trusts the authorities. */
  context: SecureContext;
  /** Returns a context that trusts one certificate only, and that as it is: it needs no issuer. */
  pin: (leaf: X509Certificate) => SecureContext;
  /** Expiry of our certificate or of the last of the authorities, the earlier one. Milliseconds since the epoch. */
  expiresMs: number;
}

export type MaterialResult = { material: TlsMaterial } | { problem: string };

export interface TlsPems {
  /** One certificate or more. */
  ca: PemText;
  /** Ours first, then those that lead to an authority. */
  certificate: PemText;
  privateKey: PemText;
}

/** Reads and checks the three texts, so that their faults are reported before a peer is asked. */
export function readMaterial(pems: TlsPems, nowMs: number): MaterialResult {
  try {
    return { material: toMaterial(pems, nowMs) };
  } catch (error) {
    if (error instanceof UnusablePem) return { problem: error.message };
    throw error;
  }
}

function toMaterial({ ca, certificate, privateKey }: TlsPems, nowMs: number): TlsMaterial {
  // Ignores those out of date while there are others.
  const current = parseAuthorities(ca, nowMs);
  const own = parseOwnCertificate(certificate, privateKey, nowMs);
  const trusting = (trusted: readonly X509Certificate[]) => makeContext(trusted, certificate, privateKey);
  return {
    caName: ca.name,
    authorities: current,
    context: trusting(current),
    pin: (leaf) => trusting([leaf]),
    expiresMs: getEarliestExpiry(own, current),
  };
}

function getEarliestExpiry(own: X509Certificate, authorities: readonly X509Certificate[]): number {
  const last = Math.max(...authorities.map(({ validToDate }) => validToDate.getTime()));
  return Math.min(own.validToDate.getTime(), last);
}

function makeContext(trusted: readonly X509Certificate[], certificate: PemText, privateKey: PemText): SecureContext {
  try {
    return createSecureContext({
      // Replaces the public authorities that Node trusts by default.
      ca: trusted.map((one) => one.toString()),
      // A pinned certificate is trusted without its issuer.
      allowPartialTrustChain: true,
      cert: Buffer.from(certificate.bytes),
      key: Buffer.from(privateKey.bytes),
      minVersion: "TLSv1.2",
    });
  } catch (error) {
    const reason = getErrorMessage(error);
    throw new UnusablePem(`${certificate.name} can't be used: ${reason}`);
  }
}
