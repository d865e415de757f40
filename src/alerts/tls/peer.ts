// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Owns the judgement of the certificate that a peer showed.
// Invariant: pure; says undefined only for a certificate that one of the authorities issued for servers, that is valid
// now and names the host.
//
// OpenSSL verifies what it can. One kind of certificate it misjudges: KubeArmor's operator gives its authority and all
// that the authority issues the same subject, and Go then writes no AuthorityKeyIdentifier, so that OpenSSL takes each
// for self-signed (x509v3_cache_extensions: EXFLAG_SS) and never looks at the authority. Only for a certificate whose
// issuer is its subject is the chain verified here, and only a chain without anything between it and an authority.

import type { X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { extensionProblem } from "./certificate-extensions.ts";
import { dateProblem } from "./material.ts";

export interface ShownCertificate {
  leaf: X509Certificate;
  /** OpenSSL's verdict on the chain, dates and purpose, not on the name: undefined for good, else its error code. */
  openSslError: string | undefined;
}

export interface Expected {
  /** The name or IP address that the certificate must be for. */
  host: string;
  authorities: readonly X509Certificate[];
  /** Where the authorities are from, for the message. */
  caName: string;
  nowMs: number;
}

const SERVER_AUTH = "1.3.6.1.5.5.7.3.1";
const MIN_RSA_BITS = 2048;
const MAX_NAMES_LENGTH = 120;
const RELAY = "the relay's certificate";
const RENEW = "restart KubeArmor's relay once its certificate is renewed";

/** Says what is wrong with the peer's certificate and what to do; undefined when nothing is. */
export function peerProblem(shown: ShownCertificate, expected: Expected): string | undefined {
  const { leaf, openSslError } = shown;
  const chain =
    openSslError === undefined
      ? undefined
      : leaf.subject === leaf.issuer
        ? selfIssuedProblem(leaf, expected)
        : explainOpenSsl(openSslError, leaf, expected);
  return chain ?? hostProblem(leaf, expected.host);
}

function selfIssuedProblem(leaf: X509Certificate, expected: Expected): string | undefined {
  const { authorities, nowMs } = expected;
  // checkIssued compares names and key identifiers and wants the authority's right to sign certificates.
  const issuers = authorities.filter((one) => leaf.checkIssued(one) && leaf.verify(one.publicKey));
  const issuer = issuers.find((one) => one.ca);
  if (issuer === undefined) return unknownAuthority(expected);
  const outdated = dateProblem(leaf, nowMs);
  if (outdated !== undefined) return `${RELAY} ${outdated}; ${RENEW}`;
  const authorityOutdated = dateProblem(issuer, nowMs);
  if (authorityOutdated !== undefined) return `${expected.caName} ${authorityOutdated}`;
  // Of an authority, too, purposes limit what it may issue.
  if (!isForServers(leaf) || !isForServers(issuer)) return notForServers();
  // Of an authority that is trusted as it is, the signature does not matter, and OpenSSL does not look at it either.
  const weak = weakKey(leaf) ?? weakKey(issuer) ?? weakSignature(leaf);
  if (weak !== undefined) return `${RELAY} is not accepted: ${weak}`;
  const unread = extensionProblem(leaf.raw, "server") ?? extensionProblem(issuer.raw, "authority");
  return unread === undefined ? undefined : `${RELAY} is not accepted: ${unread}`;
}

function isForServers({ keyUsage }: X509Certificate): boolean {
  // The extended key usages, whatever the property's name says; without any, every use is allowed.
  return keyUsage === undefined || keyUsage.includes(SERVER_AUTH);
}

/** This and the next: OpenSSL's security level 2, at which Node has it verify. */
function weakKey({ publicKey }: X509Certificate): string | undefined {
  if (!publicKey.asymmetricKeyType?.startsWith("rsa")) return undefined;
  const bits = publicKey.asymmetricKeyDetails?.modulusLength ?? 0;
  return bits < MIN_RSA_BITS ? `an RSA key of ${bits} bits is too short` : undefined;
}

function weakSignature({ signatureAlgorithm = "unknown" }: X509Certificate): string | undefined {
  return /md[245]|sha-?1(?!\d)|unknown/i.test(signatureAlgorithm)
    ? `the signature algorithm ${signatureAlgorithm} is too weak`
    : undefined;
}

function explainOpenSsl(code: string, leaf: X509Certificate, expected: Expected): string {
  switch (code) {
    case "CERT_HAS_EXPIRED":
    case "CERT_NOT_YET_VALID":
      return `${RELAY} ${dateProblem(leaf, expected.nowMs) ?? `or one above it is out of date (${code})`}; ${RENEW}`;
    case "INVALID_PURPOSE":
      return notForServers();
    case "UNABLE_TO_GET_ISSUER_CERT":
    case "UNABLE_TO_GET_ISSUER_CERT_LOCALLY":
    case "UNABLE_TO_VERIFY_LEAF_SIGNATURE":
    case "SELF_SIGNED_CERT_IN_CHAIN":
    case "DEPTH_ZERO_SELF_SIGNED_CERT":
    case "CERT_SIGNATURE_FAILURE":
      return unknownAuthority(expected);
    default:
      return `${RELAY} is not accepted: ${code}`;
  }
}

function unknownAuthority({ caName }: Expected): string {
  return `${RELAY} was not issued by the authority in ${caName}: if KubeArmor's certificates were issued anew, restart its relay (kubectl -n kubearmor rollout restart deployment kubearmor-relay)`;
}

function notForServers(): string {
  return `${RELAY} is not for servers (extended key usage): is a client's certificate installed there?`;
}

function hostProblem(leaf: X509Certificate, host: string): string | undefined {
  const isNamed = isIP(host)
    ? leaf.checkIP(host)
    : leaf.checkHost(host, { subject: "never", partialWildcards: false });
  if (isNamed !== undefined) return undefined;
  const names = (leaf.subjectAltName ?? "").replace(/\b(DNS|IP Address):/g, "");
  if (names === "") {
    return `${RELAY} names no host, so it can't be told from others: KubeArmor's relay makes such with -tlsCertProvider=self; use external`;
  }
  const list = names.length > MAX_NAMES_LENGTH ? `${names.slice(0, MAX_NAMES_LENGTH)}…` : names;
  return `${RELAY} is not for ${host} but for ${list}: set feed.relay.tls.serverName or feed.relay.address to one of these`;
}
