// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Our side of a TLS connection: our certificate and key, and the authorities that we trust.
// Invariant: a pure function of the texts and the time; no message contains a secret.

import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { createSecureContext, type SecureContext } from "node:tls";
import { getErrorMessage } from "../../lib/error-message.ts";

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

/** One piece of PEM; `name` is for messages: `tls.crt of Secret kubearmor/kubearmor-client-certs`. */
export interface PemText {
  name: string;
  bytes: Uint8Array;
}

export interface TlsPems {
  /** One certificate or more. */
  ca: PemText;
  /** Ours first, then those that lead to an authority. */
  certificate: PemText;
  privateKey: PemText;
}

/** Far more than any chain; KubeArmor's are one certificate. */
const MAX_CERTIFICATES = 100;

/** An input that can't be used; the message says why. */
class Unusable extends Error {}

/** Reads and checks the three texts, so that their faults are reported before a peer is asked. */
export function readMaterial(pems: TlsPems, nowMs: number): MaterialResult {
  try {
    return { material: toMaterial(pems, nowMs) };
  } catch (error) {
    if (error instanceof Unusable) return { problem: error.message };
    throw error;
  }
}

function toMaterial({ ca, certificate, privateKey }: TlsPems, nowMs: number): TlsMaterial {
  const authorities = parseCertificates(ca);
  // Ignores those out of date while there are others.
  const current = authorities.filter((one) => checkDates(one, nowMs) === undefined);
  if (current.length === 0) {
    throw new Unusable(`${ca.name} ${checkDates(authorities[0] as X509Certificate, nowMs)}`);
  }
  const chain = parseCertificates(certificate);
  const own = chain[0] as X509Certificate;
  const outdated = checkDates(own, nowMs);
  if (outdated !== undefined) throw new Unusable(`${certificate.name} ${outdated}`);
  const key = parsePrivateKey(privateKey);
  if (!own.checkPrivateKey(key)) {
    throw new Unusable(
      `${privateKey.name} is not the key of ${certificate.name}: put in the two that were made together`,
    );
  }
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

/** Returns when a certificate expired or will be valid; undefined when it is valid now. */
export function checkDates(certificate: X509Certificate, nowMs: number): string | undefined {
  const { validFromDate, validToDate } = certificate;
  if (nowMs > validToDate.getTime()) {
    return `expired on ${formatIsoTime(validToDate)}: it must be reissued`;
  }
  if (nowMs < validFromDate.getTime()) {
    return `is valid only from ${formatIsoTime(validFromDate)} on, and it is ${formatIsoTime(new Date(nowMs))} here: check the clocks`;
  }
  return undefined;
}

function formatIsoTime(date: Date): string {
  return date.toISOString().replace(".000Z", "Z");
}

function parseCertificates({ name, bytes }: PemText): [X509Certificate, ...X509Certificate[]] {
  const text = Buffer.from(bytes).toString("latin1");
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  const notPem = `${name} holds no certificate in PEM form ("-----BEGIN CERTIFICATE-----")`;
  if (blocks.length > MAX_CERTIFICATES) throw new Unusable(`${name} holds more than ${MAX_CERTIFICATES} certificates`);
  const certificates = blocks.map((block) => {
    try {
      return new X509Certificate(block);
    } catch {
      throw new Unusable(`${notPem}: the text between these lines is not a certificate`);
    }
  });
  const [first, ...others] = certificates;
  if (first === undefined) throw new Unusable(notPem);
  return [first, ...others];
}

function parsePrivateKey({ name, bytes }: PemText): KeyObject {
  const text = Buffer.from(bytes).toString("latin1");
  if (/ENCRYPTED/.test(text)) throw new Unusable(`${name} is encrypted: put in a key without a passphrase`);
  try {
    return createPrivateKey(text);
  } catch {
    throw new Unusable(`${name} holds no private key in PEM form ("-----BEGIN PRIVATE KEY-----")`);
  }
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
    throw new Unusable(`${certificate.name} can't be used: ${reason}`);
  }
}
