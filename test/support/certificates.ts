// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Makes X.509 certificates of any kind, wrong ones above all, without a program: DER written by hand (RFC 5280).

import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto";

export interface TestCertificate {
  pem: string;
  keyPem: string;
  key: KeyObject;
  subject: string;
}

export interface CertificateOptions {
  /** The common name. */
  subject: string;
  /** Absent: itself. */
  issuer?: TestCertificate;
  /** The issuer's name in place of the issuer's own. */
  issuerName?: string;
  from?: Date;
  to?: Date;
  extensions?: readonly Buffer[];
  /** Default: a new EC key. */
  key?: KeyObject;
  hash?: "sha256" | "sha1";
}

const TAG = { sequence: 0x30, set: 0x31, integer: 2, bits: 3, octets: 4, oid: 6, utf8: 12, time: 24 };

function encodeDer(tag: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const { length } = body;
  const head = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...head]), body]);
}

function encodeOid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  const bytes = [first * 40 + second];
  for (const arc of rest) {
    const groups = [arc & 0x7f];
    for (let left = arc >> 7; left > 0; left >>= 7) groups.unshift((left & 0x7f) | 0x80);
    bytes.push(...groups);
  }
  return encodeDer(TAG.oid, Buffer.from(bytes));
}

function name(commonName: string): Buffer {
  const attribute = encodeDer(TAG.sequence, encodeOid("2.5.4.3"), encodeDer(TAG.utf8, Buffer.from(commonName)));
  return encodeDer(TAG.sequence, encodeDer(TAG.set, attribute));
}

function encodeTime(date: Date): Buffer {
  return encodeDer(TAG.time, Buffer.from(`${date.toISOString().replace(/[-T:]|\.\d+Z/g, "")}Z`));
}

/** An extension with any value. */
export function encodeExtension(id: string, value: Buffer, isCritical = false): Buffer {
  const critical = isCritical ? [Buffer.from([1, 1, 0xff])] : [];
  return encodeDer(TAG.sequence, encodeOid(id), ...critical, encodeDer(TAG.octets, value));
}

export const isCa = encodeExtension("2.5.29.19", encodeDer(TAG.sequence, Buffer.from([1, 1, 0xff])), true);
export const isNoCa = encodeExtension("2.5.29.19", encodeDer(TAG.sequence), true);

/** `bits` is the first byte of KeyUsage: 0x80 digitalSignature, 0x20 keyEncipherment, 0x04 keyCertSign. */
export function keyUsage(bits: number): Buffer {
  return encodeExtension("2.5.29.15", encodeDer(TAG.bits, Buffer.from([0, bits])), true);
}

export const forServers = encodeExtension("2.5.29.37", encodeDer(TAG.sequence, encodeOid("1.3.6.1.5.5.7.3.1")));
export const forClients = encodeExtension("2.5.29.37", encodeDer(TAG.sequence, encodeOid("1.3.6.1.5.5.7.3.2")));

/** The names in SubjectAltName. */
export function encodeAltNames(...dns: readonly string[]): Buffer {
  return encodeExtension("2.5.29.17", encodeDer(TAG.sequence, ...dns.map((one) => encodeDer(0x82, Buffer.from(one)))));
}

/** An IPv4 address in place of names. */
export function encodeAltAddress(address: string): Buffer {
  const bytes = Buffer.from(address.split(".").map(Number));
  return encodeExtension("2.5.29.17", encodeDer(TAG.sequence, encodeDer(0x87, bytes)));
}

/** Permits only names below a domain. */
export function nameConstraints(domain: string): Buffer {
  const subtree = encodeDer(TAG.sequence, encodeDer(0x82, Buffer.from(domain)));
  return encodeExtension("2.5.29.30", encodeDer(TAG.sequence, encodeDer(0xa0, subtree)));
}

/** An RSA key. */
export function generateRsaKey(modulusLength: number): KeyObject {
  return generateKeyPairSync("rsa", { modulusLength }).privateKey;
}

/** Makes a certificate. */
export function issueCertificate(options: CertificateOptions): TestCertificate {
  const { subject, issuer, extensions = [], hash = "sha256" } = options;
  const { from = new Date("2020-01-01T00:00:00Z"), to = new Date("2040-01-01T00:00:00Z") } = options;
  const key = options.key ?? generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  const signer = issuer?.key ?? key;
  const algorithm = encodeSignatureAlgorithm(signer, hash);
  const signed = encodeDer(
    TAG.sequence,
    encodeDer(0xa0, Buffer.from([2, 1, 2])),
    encodeDer(TAG.integer, Buffer.from([1])),
    algorithm,
    name(options.issuerName ?? issuer?.subject ?? subject),
    encodeDer(TAG.sequence, encodeTime(from), encodeTime(to)),
    name(subject),
    createPublicKey(createPrivateKey(keyText(key))).export({ type: "spki", format: "der" }),
    ...(extensions.length === 0 ? [] : [encodeDer(0xa3, encodeDer(TAG.sequence, ...extensions))]),
  );
  const signature = encodeDer(TAG.bits, Buffer.from([0]), sign(hash, signed, signer));
  const bytes = encodeDer(TAG.sequence, signed, algorithm, signature).toString("base64");
  const lines = bytes.match(/.{1,64}/g)?.join("\n") ?? "";
  return {
    pem: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
    keyPem: keyText(key),
    key,
    subject,
  };
}

function keyText(key: KeyObject): string {
  return key.export({ type: "pkcs8", format: "pem" }).toString();
}

function encodeSignatureAlgorithm(signer: KeyObject, hash: "sha256" | "sha1"): Buffer {
  if (signer.asymmetricKeyType === "ec") {
    return encodeDer(TAG.sequence, encodeOid(hash === "sha256" ? "1.2.840.10045.4.3.2" : "1.2.840.10045.4.1"));
  }
  const id = hash === "sha256" ? "1.2.840.113549.1.1.11" : "1.2.840.113549.1.1.5";
  return encodeDer(TAG.sequence, encodeOid(id), Buffer.from([5, 0]));
}
