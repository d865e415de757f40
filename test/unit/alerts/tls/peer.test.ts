// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The judgement where OpenSSL's is wrong: certificates whose issuer is their subject, as KubeArmor's operator makes
// them. OpenSSL would check all of this itself, so each thing that it checks has a case here. What Go's own
// certificates do is in test/integration/feed-tls.test.ts.

import { X509Certificate } from "node:crypto";
import { describe, expect, test } from "vitest";
import { extensionProblem } from "../../../../src/alerts/tls/certificate-extensions.ts";
import { peerProblem } from "../../../../src/alerts/tls/peer.ts";
import {
  altNames,
  type CertificateOptions,
  certificate,
  extension,
  forClients,
  forServers,
  isCa,
  isNoCa,
  keyUsage,
  nameConstraints,
  rsaKey,
  type TestCertificate,
} from "../../../support/certificates.ts";

const NAME = "kubearmor";
const HOST = "kubearmor.kubearmor.svc";
const NOW_MS = Date.parse("2030-06-01T00:00:00Z");
const CA_EXTENSIONS = [isCa, keyUsage(0x86)];
const LEAF_EXTENSIONS = [isNoCa, keyUsage(0xa0), forServers, altNames(HOST)];
const CA = certificate({ subject: NAME, extensions: CA_EXTENSIONS });

function authority(options: Partial<CertificateOptions>): TestCertificate {
  return certificate({ subject: NAME, extensions: CA_EXTENSIONS, ...options });
}

function leaf(options: Partial<CertificateOptions> = {}): TestCertificate {
  return certificate({ subject: NAME, issuer: CA, extensions: LEAF_EXTENSIONS, ...options });
}

function judge(
  shown: TestCertificate,
  authorities: readonly TestCertificate[] = [CA],
  openSslError: string | undefined = "DEPTH_ZERO_SELF_SIGNED_CERT",
): string | undefined {
  return peerProblem(
    { leaf: new X509Certificate(shown.pem), openSslError },
    {
      host: HOST,
      authorities: authorities.map(({ pem }) => new X509Certificate(pem)),
      caName: "ca.crt",
      nowMs: NOW_MS,
    },
  );
}

describe("a certificate whose issuer is its subject", () => {
  test("is good when an authority of that name issued it", () => {
    expect(judge(leaf())).toBeUndefined();
  });

  test("is good by any of several authorities of one name", () => {
    expect(judge(leaf(), [authority({}), authority({}), CA])).toBeUndefined();
  });

  test("is good when the authority's own signature is not: it is trusted as it is", () => {
    const lost = certificate({ subject: NAME });
    const ca = certificate({ subject: NAME, issuer: lost, extensions: CA_EXTENSIONS });
    expect(judge(leaf({ issuer: ca }), [ca])).toBeUndefined();
  });

  test("is good without any usage and constraint, as of an authority without any usage", () => {
    const ca = authority({ extensions: [isCa] });
    expect(judge(leaf({ issuer: ca, extensions: [altNames(HOST)] }), [ca])).toBeUndefined();
  });

  const strangerKey = authority({});
  const noCa = authority({ extensions: [isNoCa, keyUsage(0x86)] });
  const bareCa = authority({ extensions: [] });
  const noSigner = authority({ extensions: [isCa, keyUsage(0x82)] });
  const clientsOnly = authority({ extensions: [...CA_EXTENSIONS, forClients] });
  const constrained = authority({ extensions: [...CA_EXTENSIONS, nameConstraints("example.com")] });
  const expired = authority({ to: new Date("2030-05-31T00:00:00Z") });
  const weakCa = authority({ key: rsaKey(1024) });
  const policy = extension("2.5.29.36", Buffer.from([0x30, 0]), true);

  test.each<[string, TestCertificate, readonly TestCertificate[], RegExp]>([
    [
      "signed by another key",
      leaf({ issuer: strangerKey }),
      [CA],
      /was not issued by the authority in ca\.crt/,
    ],
    ["signed by itself", certificate({ subject: NAME, extensions: LEAF_EXTENSIONS }), [CA], /was not issued/],
    ["that only claims the name", leaf({ subject: "x", issuerName: "x" }), [CA], /was not issued/],
    ["of something that is no authority", leaf({ issuer: noCa }), [noCa], /was not issued/],
    [
      "of something that does not say it is an authority",
      leaf({ issuer: bareCa }),
      [bareCa],
      /was not issued/,
    ],
    [
      "of an authority that may not sign certificates",
      leaf({ issuer: noSigner }),
      [noSigner],
      /was not issued/,
    ],
    ["of an authority for clients only", leaf({ issuer: clientsOnly }), [clientsOnly], /is not for servers/],
    [
      "of an authority that is limited to names",
      leaf({ issuer: constrained }),
      [constrained],
      /name constraints are not understood/,
    ],
    [
      "of an authority that has expired",
      leaf({ issuer: expired }),
      [expired],
      /^ca\.crt expired on 2030-05-31T00:00:00Z/,
    ],
    [
      "of an authority with a short key",
      leaf({ issuer: weakCa }),
      [weakCa],
      /an RSA key of 1024 bits is too short/,
    ],
    ["with a short key", leaf({ key: rsaKey(1024) }), [CA], /an RSA key of 1024 bits is too short/],
    [
      "signed with SHA-1",
      leaf({ hash: "sha1" }),
      [CA],
      /the signature algorithm \S*(?:sha1|SHA1)\S* is too weak/,
    ],
    [
      "that has expired",
      leaf({ to: new Date("2030-05-31T00:00:00Z") }),
      [CA],
      /expired on 2030-05-31T00:00:00Z/,
    ],
    [
      "that is not valid yet",
      leaf({ from: new Date("2030-06-02T00:00:00Z") }),
      [CA],
      /valid only from 2030-06-02T00:00:00Z on, and it is 2030-06-01T00:00:00Z here/,
    ],
    ["for clients", leaf({ extensions: [forClients, altNames(HOST)] }), [CA], /is not for servers/],
    [
      "whose key may sign certificates only",
      leaf({ extensions: [keyUsage(0x04), altNames(HOST)] }),
      [CA],
      /its key usage is not that of a TLS server/,
    ],
    [
      "with a critical extension that nobody here knows",
      leaf({ extensions: [...LEAF_EXTENSIONS, policy] }),
      [CA],
      /its critical extension 551d24 is not understood/,
    ],
    [
      "for another host",
      leaf({ extensions: [altNames("kubearmor.other.svc")] }),
      [CA],
      /is not for kubearmor\.kubearmor\.svc but for kubearmor\.other\.svc/,
    ],
    [
      "that names the host in its subject only",
      leaf({ subject: HOST, issuer: { ...CA, subject: HOST }, extensions: [] }),
      [certificate({ subject: HOST, key: CA.key, extensions: CA_EXTENSIONS })],
      /names no host/,
    ],
  ])("is refused %s", (_, shown, authorities, expected) => {
    expect(judge(shown, authorities)).toMatch(expected);
  });

  test("is refused without any authority", () => {
    expect(judge(leaf(), [])).toMatch(/was not issued/);
  });
});

describe("any other certificate", () => {
  const other = (options: Partial<CertificateOptions> = {}) => leaf({ subject: "relay", ...options });

  test("is as good as OpenSSL says, and must be for the host", () => {
    const good = peerProblem(
      { leaf: new X509Certificate(other().pem), openSslError: undefined },
      { host: HOST, authorities: [], caName: "ca.crt", nowMs: NOW_MS },
    );
    expect(good).toBeUndefined();
    const elsewhere = other({ extensions: [altNames("a.example", "b.example")] });
    const wrong = peerProblem(
      { leaf: new X509Certificate(elsewhere.pem), openSslError: undefined },
      { host: HOST, authorities: [], caName: "ca.crt", nowMs: NOW_MS },
    );
    expect(wrong).toMatch(/is not for \S+ but for a\.example, b\.example: set feed\.relay\.tls\.serverName/);
  });

  test.each([
    ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", /was not issued by the authority/],
    ["SELF_SIGNED_CERT_IN_CHAIN", /was not issued by the authority/],
    ["CERT_HAS_EXPIRED", /or one above it is out of date \(CERT_HAS_EXPIRED\)/],
    ["INVALID_PURPOSE", /is not for servers/],
    ["PERMITTED_VIOLATION", /is not accepted: PERMITTED_VIOLATION/],
    ["not authorized", /is not accepted: not authorized/],
  ])("is refused for OpenSSL's %s, also where an authority here did issue it", (code, expected) => {
    expect(judge(other(), [CA], code)).toMatch(expected);
  });
});

test("extensions of broken certificates are a problem, and never an exception", () => {
  const { raw } = new X509Certificate(leaf().pem);
  expect(extensionProblem(raw, "server")).toBeUndefined();
  for (let length = 0; length < raw.length; length++) {
    expect(extensionProblem(raw.subarray(0, length), "server"), `${length} bytes`).toBe(
      "its extensions can't be read",
    );
  }
  for (let at = 0; at < raw.length; at++) {
    for (const flip of [0x01, 0x80, 0xff]) {
      const bent = Buffer.from(raw);
      bent[at] = (bent[at] ?? 0) ^ flip;
      expect(() => extensionProblem(bent, "server")).not.toThrow();
    }
  }
});
