// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Certificates and private keys as people put them into Secrets and files.
// Invariant: a pure function of the texts and the time; no message contains a secret.

import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";

/** One piece of PEM; `name` is for messages: `tls.crt of Secret kubearmor/kubearmor-client-certs`. */
export interface PemText {
  name: string;
  bytes: Uint8Array;
}

/** An input that can't be used; the message says why. */
export class UnusablePem extends Error {}

/** Far more than any chain; KubeArmor's are one certificate. */
const MAX_CERTIFICATES = 100;
const BEGIN = /-----BEGIN ([A-Z0-9 ]+)-----/g;
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;
/** First byte of DER, and the least that its second one is where more than 127 bytes follow. */
const DER_BEGIN = [0x30, 0x80] as const;

/** Reads one certificate or more. Throws UnusablePem, also where only one of them is damaged. */
function parseCertificates(pem: PemText): [X509Certificate, ...X509Certificate[]] {
  const { name } = pem;
  const text = toText(pem);
  const begun = [...text.matchAll(BEGIN)].filter(([, label]) => label === "CERTIFICATE").length;
  if (begun > MAX_CERTIFICATES) throw new UnusablePem(`${name} holds more than ${MAX_CERTIFICATES} certificates`);
  const blocks = text.match(CERTIFICATE) ?? [];
  const all = begun === 1 ? "the certificate" : `one of the ${begun} certificates`;
  if (blocks.length < begun)
    throw new UnusablePem(
      `${name} is cut off: ${all} has no line "-----END CERTIFICATE-----", or text that is not base64`,
    );
  const [first, ...others] = blocks.map((block, i) => {
    try {
      return new X509Certificate(block);
    } catch {
      const which = blocks.length === 1 ? "the certificate" : `certificate ${i + 1} of ${blocks.length}`;
      throw new UnusablePem(`${name} is damaged: the text of ${which} is not a certificate`);
    }
  });
  if (first === undefined)
    throw new UnusablePem(`${name} holds no certificate in PEM form ${explain(text, "CERTIFICATE")}`);
  return [first, ...others];
}

/** Reads certificates and returns those that are valid now. Throws UnusablePem, also where none is. */
export function parseAuthorities(pem: PemText, nowMs: number): X509Certificate[] {
  const all = parseCertificates(pem);
  const current = all.filter((one) => checkDates(one, nowMs) === undefined);
  if (current.length === 0) throw new UnusablePem(`${pem.name} ${checkDates(all[0], nowMs)}`);
  return current;
}

/** Reads our certificate, the first of a chain, which must be valid now and have this key. Throws UnusablePem. */
export function parseOwnCertificate(certificate: PemText, privateKey: PemText, nowMs: number): X509Certificate {
  const [own] = parseCertificates(certificate);
  const outdated = checkDates(own, nowMs);
  if (outdated !== undefined) throw new UnusablePem(`${certificate.name} ${outdated}`);
  if (!own.checkPrivateKey(parsePrivateKey(privateKey)))
    throw new UnusablePem(
      `${privateKey.name} is not the key of ${certificate.name}: put in the two that were made together`,
    );
  return own;
}

/** Reads a private key without a passphrase. Throws UnusablePem. */
function parsePrivateKey(pem: PemText): KeyObject {
  const { name } = pem;
  const text = toText(pem);
  if (/ENCRYPTED/.test(text)) throw new UnusablePem(`${name} is encrypted: put in a key without a passphrase`);
  try {
    return createPrivateKey(text);
  } catch {
    throw new UnusablePem(`${name} holds no private key in PEM form ${explain(text, "PRIVATE KEY")}`);
  }
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

function toText({ name, bytes }: PemText): string {
  const text = Buffer.from(bytes).toString("latin1");
  if (text.trim() === "") throw new UnusablePem(`${name} is empty`);
  const [first = 0, second = 0] = bytes;
  if (first === DER_BEGIN[0] && second >= DER_BEGIN[1])
    throw new UnusablePem(
      `${name} is in DER form: convert it to PEM, as with openssl x509 or openssl pkey -inform DER`,
    );
  return text;
}

/** Describes the contents of a text that is not the expected PEM. */
function explain(text: string, expected: string): string {
  const [found] = [...text.matchAll(BEGIN)].map(([, label = ""]) => label);
  const line = `("-----BEGIN ${expected}-----")`;
  if (found === undefined) return line;
  return found.endsWith(expected) ? `${line}: its text is cut off or damaged` : `${line}: it begins with ${found}`;
}

function formatIsoTime(date: Date): string {
  return date.toISOString().replace(".000Z", "Z");
}
