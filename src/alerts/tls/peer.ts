// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The verdict on the certificate that a peer showed, and the messages about it.
// Invariant: pure. OpenSSL decides on everything but the host name and one kind of certificate that it takes for
// self-signed: KubeArmor's operator gives its authority and all certificates of that authority the same subject, and Go
// then writes no AuthorityKeyIdentifier (x509v3_cache_extensions: EXFLAG_SS). Of such a certificate the issuer is looked
// for here, and the certificate itself is pinned: OpenSSL judges it again, as the only authority of the next connection.

import type { X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { checkDates } from "../../lib/pem.ts";
import type { PeerText } from "./peer-text.ts";

export interface ShownCertificate {
  leaf: X509Certificate;
  /** OpenSSL's verdict on chain, dates and purpose, not on the name: undefined for good, else its error code. */
  openSslError: string | undefined;
}

export interface ExpectedPeer {
  peer: PeerText;
  /** The name or IP address that the certificate must be for. */
  host: string;
  authorities: readonly X509Certificate[];
  /** Source of the authorities, for messages. */
  caName: string;
  nowMs: number;
}

/** The authorities that the next connection is verified with: ours, or the certificate that was shown. */
export type PeerVerdict =
  | { kind: "by_authorities" }
  | { kind: "by_pinned_leaf" }
  | { kind: "refused"; message: string };

const SERVER_AUTH = "1.3.6.1.5.5.7.3.1";
/** OpenSSL's code for a leaf certificate with its own subject as the issuer. */
const SELF_SIGNED = "DEPTH_ZERO_SELF_SIGNED_CERT";
/** Node's code for those errors of OpenSSL that it has no code for. */
const UNNAMED = "UNSPECIFIED";
/** The DER of the object identifier 2.5.29.30, as it appears in a certificate with name constraints. */
const NAME_CONSTRAINTS = Buffer.from("0603551d1e", "hex");
/** DER of the object identifiers of signatures that can be forged; only Node >= 24.9 names a certificate's algorithm. */
const WEAK_SIGNATURES: readonly [name: string, der: Buffer][] = [
  ["md2WithRSAEncryption", Buffer.from("06092a864886f70d010102", "hex")],
  ["md4WithRSAEncryption", Buffer.from("06092a864886f70d010103", "hex")],
  ["md5WithRSAEncryption", Buffer.from("06092a864886f70d010104", "hex")],
  ["sha1WithRSAEncryption", Buffer.from("06092a864886f70d010105", "hex")],
  ["dsa-with-SHA1", Buffer.from("06072a8648ce380403", "hex")],
  ["ecdsa-with-SHA1", Buffer.from("06072a8648ce3d0401", "hex")],
];
const MIN_RSA_BITS = 2048;
const MAX_NAMES_LENGTH = 120;

/** Decides on a certificate; a refusal states the problem and the remedy. */
export function judgePeer(shown: ShownCertificate, expected: ExpectedPeer): PeerVerdict {
  const { leaf, openSslError } = shown;
  if (openSslError === undefined) {
    return toVerdict(
      describeWeakness(expected, checkKey(leaf, "its")) ?? checkPeerHost(leaf, expected),
      "by_authorities",
    );
  }
  // Only the error of the next connection, which is verified in the same way, has a text.
  if (openSslError === UNNAMED) return { kind: "by_authorities" };
  if (openSslError !== SELF_SIGNED || leaf.subject !== leaf.issuer) {
    return { kind: "refused", message: explainOpenSslError({ code: openSslError }, leaf, expected) };
  }
  return toVerdict(pinProblem(leaf, expected) ?? checkPeerHost(leaf, expected), "by_pinned_leaf");
}

export function explainOpenSslError(
  error: { code: string; message?: string },
  leaf: X509Certificate,
  expected: ExpectedPeer,
): string {
  const certificate = describeCertificate(expected);
  const { code } = error;
  switch (code) {
    case "CERT_HAS_EXPIRED":
    case "CERT_NOT_YET_VALID":
      return `${certificate} ${checkDates(leaf, expected.nowMs) ?? `or one above it is out of date (${code})`}; restart KubeArmor there once it is renewed`;
    case "INVALID_PURPOSE":
      return describeWrongUsage(expected);
    case "UNABLE_TO_GET_ISSUER_CERT":
    case "UNABLE_TO_GET_ISSUER_CERT_LOCALLY":
    case "UNABLE_TO_VERIFY_LEAF_SIGNATURE":
    case "SELF_SIGNED_CERT_IN_CHAIN":
    case SELF_SIGNED:
    case "CERT_SIGNATURE_FAILURE":
      return describeUnknownAuthority(expected);
    default:
      return `${certificate} is not accepted: ${code === UNNAMED ? error.message : code}`;
  }
}

/** Returns the problem with the names of a certificate. */
export function checkPeerHost(leaf: X509Certificate, expected: ExpectedPeer): string | undefined {
  const { host } = expected;
  const isNamed = isIP(host) ? leaf.checkIP(host) : leaf.checkHost(host, { subject: "never", partialWildcards: false });
  if (isNamed !== undefined) return undefined;
  const names = (leaf.subjectAltName ?? "").replace(/\b(DNS|IP Address):/g, "");
  const certificate = describeCertificate(expected);
  if (names === "") {
    return `${certificate} names no host: ${expected.peer.ifNoHost}`;
  }
  const list = names.length > MAX_NAMES_LENGTH ? `${names.slice(0, MAX_NAMES_LENGTH)}…` : names;
  return `${certificate} is not for ${host} but for ${list}: ${expected.peer.ifOtherHost}`;
}

function toVerdict(problem: string | undefined, kind: "by_authorities" | "by_pinned_leaf"): PeerVerdict {
  return problem === undefined ? { kind } : { kind: "refused", message: problem };
}

/** Returns why a certificate must not be pinned; OpenSSL does not look at the issuer and signature of a pinned one. */
function pinProblem(leaf: X509Certificate, expected: ExpectedPeer): string | undefined {
  const { authorities, caName, nowMs } = expected;
  // checkIssued compares names and key identifiers, and wants the authority's right to sign certificates.
  const issuer = authorities.find((one) => one.ca && leaf.checkIssued(one) && leaf.verify(one.publicKey));
  if (issuer === undefined) return describeUnknownAuthority(expected);
  const outdated = checkDates(issuer, nowMs);
  if (outdated !== undefined) return `${caName} ${outdated}`;
  // The extended key usages of an authority limit what it may issue; without any, every use is allowed.
  if (issuer.keyUsage !== undefined && !issuer.keyUsage.includes(SERVER_AUTH)) return describeWrongUsage(expected);
  const problem =
    checkKey(issuer, "its authority's") ?? checkIssuer(issuer) ?? checkKey(leaf, "its") ?? checkSignature(leaf);
  return describeWeakness(expected, problem);
}

function describeWeakness(expected: ExpectedPeer, problem: string | undefined): string | undefined {
  return problem && `${describeCertificate(expected)} is not accepted: ${problem}`;
}

/** OpenSSL refuses a short key itself only from Node 24 on. */
function checkKey({ publicKey }: X509Certificate, owner: string): string | undefined {
  const bits = publicKey.asymmetricKeyDetails?.modulusLength;
  return bits !== undefined && bits < MIN_RSA_BITS ? `${owner} RSA key of ${bits} bits is too short` : undefined;
}

function checkIssuer({ raw }: X509Certificate): string | undefined {
  return raw.includes(NAME_CONSTRAINTS) ? "name constraints of its authority are not supported" : undefined;
}

function checkSignature({ raw }: X509Certificate): string | undefined {
  const weak = WEAK_SIGNATURES.find(([, der]) => raw.includes(der));
  return weak && `the signature algorithm ${weak[0]} is too weak`;
}

function describeCertificate({ peer }: ExpectedPeer): string {
  return `${peer.name}'s certificate`;
}

function describeUnknownAuthority(expected: ExpectedPeer): string {
  return `${describeCertificate(expected)} was not issued by the authority in ${expected.caName}: if KubeArmor's certificates were reissued, ${expected.peer.restart}`;
}

function describeWrongUsage(expected: ExpectedPeer): string {
  return `${describeCertificate(expected)} is not for servers (extended key usage): is a client's certificate installed there?`;
}
