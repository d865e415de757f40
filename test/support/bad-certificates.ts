// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// TLS material as people get it wrong, each with the file that the error has to name and what is wrong with it.

import { createPrivateKey, X509Certificate } from "node:crypto";
import { issueCertificate } from "./certificates.ts";

/** Texts of a certificate authority, a certificate and its key, by file. */
export interface TlsFiles {
  "ca.crt": string | Uint8Array;
  "tls.crt": string | Uint8Array;
  "tls.key": string | Uint8Array;
}

export interface BadCertificate {
  name: string;
  /** Replaces files of working material. */
  files: (good: { ca: string; certificate: string; key: string }) => Partial<TlsFiles>;
  problem: RegExp;
}

const PAST = new Date("2021-01-01T00:00:00Z");
const FUTURE = new Date("2099-01-01T00:00:00Z");
const other = issueCertificate({ subject: "other" });
const expired = issueCertificate({ subject: "expired", to: PAST });
const early = issueCertificate({ subject: "early", from: FUTURE, to: new Date("2099-06-01T00:00:00Z") });

export const BAD_CERTIFICATES: readonly BadCertificate[] = [
  { name: "an empty authority", files: () => ({ "ca.crt": "" }), problem: /ca\.crt\b.* is empty/ },
  { name: "a blank certificate", files: () => ({ "tls.crt": " \n" }), problem: /tls\.crt\b.* is empty/ },
  { name: "an empty key", files: () => ({ "tls.key": "" }), problem: /tls\.key\b.* is empty/ },
  { name: "text", files: () => ({ "ca.crt": "nothing" }), problem: /ca\.crt\b.* holds no certificate in PEM form/ },
  {
    name: "an authority in DER",
    files: ({ ca }) => ({ "ca.crt": new X509Certificate(ca).raw }),
    problem: /ca\.crt\b.* is in DER form/,
  },
  {
    name: "a certificate in DER",
    files: ({ certificate }) => ({ "tls.crt": new X509Certificate(certificate).raw }),
    problem: /tls\.crt\b.* is in DER form/,
  },
  {
    name: "a key in DER",
    files: ({ key }) => ({ "tls.key": createPrivateKey(key).export({ format: "der", type: "pkcs8" }) }),
    problem: /tls\.key\b.* is in DER form/,
  },
  {
    name: "a key in place of a certificate",
    files: ({ key }) => ({ "tls.crt": key }),
    problem: /tls\.crt\b.* holds no certificate in PEM form .*: it begins with PRIVATE KEY/,
  },
  {
    name: "a certificate in place of a key",
    files: ({ certificate }) => ({ "tls.key": certificate }),
    problem: /tls\.key\b.* holds no private key in PEM form .*: it begins with CERTIFICATE/,
  },
  {
    name: "the key of another certificate",
    files: () => ({ "tls.key": other.keyPem }),
    problem: /tls\.key\b.* is not the key of .*tls\.crt/,
  },
  {
    name: "a certificate that has expired",
    files: () => ({ "tls.crt": expired.pem, "tls.key": expired.keyPem }),
    problem: /tls\.crt\b.* expired on 2021-01-01T00:00:00Z/,
  },
  {
    name: "an authority that has expired",
    files: () => ({ "ca.crt": expired.pem }),
    problem: /ca\.crt\b.* expired on 2021-01-01T00:00:00Z/,
  },
  {
    name: "a certificate that is not yet valid",
    files: () => ({ "tls.crt": early.pem, "tls.key": early.keyPem }),
    problem: /tls\.crt\b.* is valid only from 2099-01-01T00:00:00Z on/,
  },
  {
    name: "an encrypted key",
    files: ({ key }) => ({
      "tls.key": createPrivateKey(key)
        .export({ format: "pem", type: "pkcs8", cipher: "aes-256-cbc", passphrase: "secret" })
        .toString(),
    }),
    problem: /tls\.key\b.* is encrypted/,
  },
  {
    name: "a certificate that is cut off",
    files: ({ certificate }) => ({ "tls.crt": certificate.slice(0, 200) }),
    problem: /tls\.crt\b.* is cut off/,
  },
  {
    name: "a key that is cut off",
    files: ({ key }) => ({ "tls.key": key.slice(0, 100) }),
    problem: /tls\.key\b.* holds no private key in PEM form .*: its text is cut off or damaged/,
  },
  {
    name: "a certificate with a letter too few",
    files: ({ certificate }) => ({ "tls.crt": certificate.replace(/\n(.{20})./, "\n$1") }),
    problem: /tls\.crt\b.* is damaged/,
  },
  {
    name: "a bundle of which one is damaged",
    files: ({ ca }) => ({ "ca.crt": `${ca}\n${ca.replace(/\n(.{20})./, "\n$1")}` }),
    problem: /ca\.crt\b.* is damaged: the text of certificate 2 of 2/,
  },
  {
    name: "a bundle of which the first is cut off",
    files: ({ ca }) => ({ "ca.crt": `${ca.slice(0, 200)}\n${ca}` }),
    problem: /ca\.crt\b.* is cut off: one of the 2 certificates/,
  },
];
