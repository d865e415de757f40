// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Owns what we bring to a TLS connection: our certificate and key, and the authorities that we trust.
// Invariant: a pure function of the texts and the time; nothing secret is in a message.

import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { createSecureContext, type SecureContext } from "node:tls";

/** Everything that a connection with mutual TLS needs. */
export interface TlsMaterial {
  /** Where the authorities are from, for messages. */
  caName: string;
  authorities: readonly X509Certificate[];
  context: SecureContext;
  /** When our certificate, or the last of the authorities, expires: the earlier. Milliseconds since the epoch. */
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

/** Says that a thing can't be used, and why. */
class Unusable extends Error {}

/** Reads and checks the three texts, so that what is wrong with them is told before a peer is asked. */
export function readMaterial(pems: TlsPems, nowMs: number): MaterialResult {
  try {
    return { material: materialOf(pems, nowMs) };
  } catch (error) {
    if (error instanceof Unusable) return { problem: error.message };
    throw error;
  }
}

function materialOf({ ca, certificate, privateKey }: TlsPems, nowMs: number): TlsMaterial {
  const authorities = certificatesIn(ca);
  // One that is out of date takes nothing from the others.
  const current = authorities.filter((one) => dateProblem(one, nowMs) === undefined);
  if (current.length === 0) {
    throw new Unusable(`${ca.name} ${dateProblem(authorities[0] as X509Certificate, nowMs)}`);
  }
  const chain = certificatesIn(certificate);
  const own = chain[0] as X509Certificate;
  const outdated = dateProblem(own, nowMs);
  if (outdated !== undefined) throw new Unusable(`${certificate.name} ${outdated}`);
  const key = privateKeyIn(privateKey);
  if (!own.checkPrivateKey(key)) {
    throw new Unusable(
      `${privateKey.name} is not the key of ${certificate.name}: put in the two that were made together`,
    );
  }
  const context = contextOf(current, certificate, privateKey);
  return { caName: ca.name, authorities: current, context, expiresMs: expiryOf(own, current) };
}

function expiryOf(own: X509Certificate, authorities: readonly X509Certificate[]): number {
  const last = Math.max(...authorities.map(({ validToDate }) => validToDate.getTime()));
  return Math.min(own.validToDate.getTime(), last);
}

/** Says when a certificate expired or will be valid; undefined when it is valid now. */
export function dateProblem(certificate: X509Certificate, nowMs: number): string | undefined {
  const { validFromDate, validToDate } = certificate;
  if (nowMs > validToDate.getTime()) {
    return `expired on ${isoTime(validToDate)}: it must be issued anew`;
  }
  if (nowMs < validFromDate.getTime()) {
    return `is valid only from ${isoTime(validFromDate)} on, and it is ${isoTime(new Date(nowMs))} here: check the clocks`;
  }
  return undefined;
}

function isoTime(date: Date): string {
  return date.toISOString().replace(".000Z", "Z");
}

function certificatesIn({ name, bytes }: PemText): [X509Certificate, ...X509Certificate[]] {
  const text = Buffer.from(bytes).toString("latin1");
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  const notPem = `${name} holds no certificate in PEM form ("-----BEGIN CERTIFICATE-----")`;
  if (blocks.length > MAX_CERTIFICATES)
    throw new Unusable(`${name} holds more than ${MAX_CERTIFICATES} certificates`);
  const certificates = blocks.map((block) => {
    try {
      return new X509Certificate(block);
    } catch {
      // What OpenSSL says of broken bytes helps nobody.
      throw new Unusable(`${notPem}: what stands between these lines is broken`);
    }
  });
  const [first, ...others] = certificates;
  if (first === undefined) throw new Unusable(notPem);
  return [first, ...others];
}

function privateKeyIn({ name, bytes }: PemText): KeyObject {
  const text = Buffer.from(bytes).toString("latin1");
  if (/ENCRYPTED/.test(text)) throw new Unusable(`${name} is encrypted: put in a key without a passphrase`);
  try {
    return createPrivateKey(text);
  } catch {
    throw new Unusable(`${name} holds no private key in PEM form ("-----BEGIN PRIVATE KEY-----")`);
  }
}

function contextOf(
  authorities: readonly X509Certificate[],
  certificate: PemText,
  privateKey: PemText,
): SecureContext {
  try {
    return createSecureContext({
      // Of our own authorities alone: without `ca` the whole world's would do.
      ca: authorities.map((one) => one.toString()),
      cert: Buffer.from(certificate.bytes),
      key: Buffer.from(privateKey.bytes),
      minVersion: "TLSv1.2",
    });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Unusable(`${certificate.name} can't be used: ${reason}`);
  }
}
