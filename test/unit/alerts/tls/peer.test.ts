// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The verdict on a peer's certificate, through real handshakes with OpenSSL: each fault of a certificate whose issuer is
// its subject, as KubeArmor's operator makes them, is found by the probe or by the connection that pins the certificate.
// Certificates made by Go are in test/integration/alerts-tls.test.ts.

import { createServer as createTlsServer, type Server } from "node:tls";
import { afterEach, describe, expect, test } from "vitest";
import { createSecuredStream } from "../../../../src/alerts/secured-stream.ts";
import { readMaterial } from "../../../../src/alerts/tls/material.ts";
import { systemClock } from "../../../../src/lib/clock.ts";
import {
  type CertificateOptions,
  encodeAltNames,
  encodeExtension,
  forClients,
  forServers,
  generateRsaKey,
  isCa,
  isNoCa,
  issueCertificate,
  keyUsage,
  nameConstraints,
  type TestCertificate,
} from "../../../support/certificates.ts";
import { SIGNAL } from "../../../support/signal.ts";

const NAME = "kubearmor";
const HOST = "kubearmor.kubearmor.svc";
const DAY_MS = 24 * 3600 * 1000;
const NOW_MS = Date.now();
const YESTERDAY = new Date(NOW_MS - DAY_MS);
const TOMORROW = new Date(NOW_MS + DAY_MS);
const CA_EXTENSIONS = [isCa, keyUsage(0x86)];
const LEAF_EXTENSIONS = [isNoCa, keyUsage(0xa0), forServers, encodeAltNames(HOST)];
const CA = issueCertificate({ subject: NAME, extensions: CA_EXTENSIONS });
const OURS = issueCertificate({ subject: "client", issuer: CA });

const servers: Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await new Promise((resolve) => server.close(resolve));
});

function issueAuthority(options: Partial<CertificateOptions>): TestCertificate {
  return issueCertificate({ subject: NAME, extensions: CA_EXTENSIONS, ...options });
}

function issueLeaf(options: Partial<CertificateOptions> = {}): TestCertificate {
  return issueCertificate({ subject: NAME, issuer: CA, extensions: LEAF_EXTENSIONS, ...options });
}

/** Serves TLS with the certificate, at a security level that allows weak ones. */
async function serve(shown: TestCertificate, chain: readonly TestCertificate[]): Promise<string> {
  const cert = [shown, ...chain].map(({ pem }) => pem).join("");
  const server = createTlsServer(
    { cert, key: shown.keyPem, ALPNProtocols: ["h2"], ciphers: "DEFAULT@SECLEVEL=0" },
    (socket) => {
      socket.on("error", () => undefined);
      // SETTINGS: an HTTP/2 server's first frame.
      socket.write(Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]));
      socket.on("data", () => socket.destroy());
    },
  );
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const at = server.address();
  if (at === null || typeof at === "string") throw new Error("no port");
  return `127.0.0.1:${at.port}`;
}

/** Returns why a stream is refused; undefined where TLS is not the reason for its end. */
async function getRefusal(
  shown: TestCertificate,
  authorities: readonly TestCertificate[] = [CA],
  chain: readonly TestCertificate[] = [],
): Promise<string | undefined> {
  const text = (name: string, pem: string) => ({ name, bytes: Buffer.from(pem) });
  const read = readMaterial(
    {
      ca: text("ca.crt", authorities.map(({ pem }) => pem).join("")),
      certificate: text("tls.crt", OURS.pem),
      privateKey: text("tls.key", OURS.keyPem),
    },
    // Authorities out of date are left out when there are others, and refused alone: neither is tested here.
    Date.parse("2025-01-01T00:00:00Z"),
  );
  if ("problem" in read) throw new Error(read.problem);
  const { material } = read;
  const open = createSecuredStream(
    {
      address: await serve(shown, chain),
      serverName: HOST,
      security: () => Promise.resolve({ kind: "tls", material }),
    },
    systemClock,
  );
  const end = await open({ onMessage() {}, onAlive() {} }, SIGNAL);
  return end.kind === "refused" ? end.message : undefined;
}

describe("a certificate with its subject as the issuer", () => {
  test("is good when an authority of that name issued it", async () => {
    expect(await getRefusal(issueLeaf())).toBeUndefined();
  });

  test("is good by any of several authorities of one name", async () => {
    expect(await getRefusal(issueLeaf(), [issueAuthority({}), issueAuthority({}), CA])).toBeUndefined();
  });

  test("is good when the authority's own signature is not: it is trusted as it is", async () => {
    const lost = issueCertificate({ subject: NAME });
    const ca = issueCertificate({ subject: NAME, issuer: lost, extensions: CA_EXTENSIONS });
    expect(await getRefusal(issueLeaf({ issuer: ca }), [ca])).toBeUndefined();
  });

  test("is good without any usage and constraint, as of an authority without any usage", async () => {
    const ca = issueAuthority({ extensions: [isCa] });
    expect(await getRefusal(issueLeaf({ issuer: ca, extensions: [encodeAltNames(HOST)] }), [ca])).toBeUndefined();
  });

  const strangerKey = issueAuthority({});
  const noCa = issueAuthority({ extensions: [isNoCa, keyUsage(0x86)] });
  const bareCa = issueAuthority({ extensions: [] });
  const noSigner = issueAuthority({ extensions: [isCa, keyUsage(0x82)] });
  const clientsOnly = issueAuthority({ extensions: [...CA_EXTENSIONS, forClients] });
  const constrained = issueAuthority({ extensions: [...CA_EXTENSIONS, nameConstraints("example.com")] });
  const expired = issueAuthority({ to: YESTERDAY });
  const weakCa = issueAuthority({ key: generateRsaKey(1024) });
  const policy = encodeExtension("2.5.29.36", Buffer.from([0x30, 0x03, 0x80, 0x01, 0x00]), true);
  const unknown = encodeExtension("1.2.3.4", Buffer.from([0x05, 0]), true);

  const UNSUPPORTED = /name constraints of its authority are not supported/;
  const SHORT_KEY = /is not accepted: (?:EE certificate key too weak|its RSA key of 1024 bits is too short)/;
  const EARLY = /is valid only from 20\d\d-.* on, and it is 20\d\d-.* here: check the clocks/;
  const OTHER_HOST = /is not for kubearmor\.kubearmor\.svc but for kubearmor\.other\.svc/;
  const NAMES = encodeAltNames(HOST);
  // OpenSSL takes it for self-signed only when both keys are of one kind.
  const ofWeakCa = issueLeaf({ issuer: weakCa, key: generateRsaKey(2048) });
  const inSubject = issueLeaf({ subject: HOST, issuer: { ...CA, subject: HOST }, extensions: [] });
  const hostCa = issueCertificate({ subject: HOST, key: CA.key, extensions: CA_EXTENSIONS });
  const critical = issueLeaf({ extensions: [...LEAF_EXTENSIONS, unknown] });

  test.each<[string, TestCertificate, readonly TestCertificate[], RegExp]>([
    ["signed by another key", issueLeaf({ issuer: strangerKey }), [CA], /was not issued by the authority in ca\.crt/],
    ["signed by itself", issueCertificate({ subject: NAME, extensions: LEAF_EXTENSIONS }), [CA], /was not issued/],
    ["that only claims the name", issueLeaf({ subject: "x", issuerName: "x" }), [CA], /was not issued/],
    ["of something that is not an authority", issueLeaf({ issuer: noCa }), [noCa], /was not issued/],
    ["of something that does not say it is an authority", issueLeaf({ issuer: bareCa }), [bareCa], /was not issued/],
    ["of an authority that may not sign certificates", issueLeaf({ issuer: noSigner }), [noSigner], /was not issued/],
    ["of an authority for clients only", issueLeaf({ issuer: clientsOnly }), [clientsOnly], /is not for servers/],
    ["of an authority that is limited to names", issueLeaf({ issuer: constrained }), [constrained], UNSUPPORTED],
    ["of an authority that has expired", issueLeaf({ issuer: expired }), [expired], /^ca\.crt expired on 20\d\d-/],
    ["of an authority with a short key", ofWeakCa, [weakCa], /its authority's RSA key of 1024 bits is too short/],
    ["with a short key", issueLeaf({ key: generateRsaKey(1024) }), [CA], SHORT_KEY],
    ["signed with SHA-1", issueLeaf({ hash: "sha1" }), [CA], /the signature algorithm \S*(?:sha1|SHA1)\S* is too weak/],
    ["that has expired", issueLeaf({ to: YESTERDAY }), [CA], /certificate expired on 20\d\d-.*restart KubeArmor/],
    ["that is not valid yet", issueLeaf({ from: TOMORROW }), [CA], EARLY],
    ["for clients", issueLeaf({ extensions: [forClients, NAMES] }), [CA], /is not for servers/],
    ["whose key may sign only", issueLeaf({ extensions: [keyUsage(0x04), NAMES] }), [CA], /is not for servers/],
    ["with a critical extension unknown to OpenSSL", critical, [CA], /is not accepted: unhandled critical extension/],
    ["for another host", issueLeaf({ extensions: [encodeAltNames("kubearmor.other.svc")] }), [CA], OTHER_HOST],
    ["that names the host in its subject only", inSubject, [hostCa], /names no host/],
  ])("is refused %s", async (_, shown, authorities, expected) => {
    expect(await getRefusal(shown, authorities)).toMatch(expected);
  });

  test("may have a critical extension that OpenSSL knows", async () => {
    expect(await getRefusal(issueLeaf({ extensions: [...LEAF_EXTENSIONS, policy] }))).toBeUndefined();
  });
});

describe("any other certificate", () => {
  const other = (options: Partial<CertificateOptions> = {}) => issueLeaf({ subject: "relay", ...options });
  const elsewhere = issueAuthority({ extensions: [...CA_EXTENSIONS, nameConstraints("example.com")] });
  const between = issueCertificate({ subject: "between", issuer: CA, extensions: CA_EXTENSIONS });

  test("is as good as OpenSSL says", async () => {
    expect(await getRefusal(other())).toBeUndefined();
    expect(await getRefusal(other({ issuer: between }), [CA], [between])).toBeUndefined();
  });

  const OTHER_HOSTS = /is not for \S+ but for a\.example, b\.example: set feed\.relay\.tls\.serverName/;
  const named = other({ extensions: [encodeAltNames("a.example", "b.example")] });
  const limited = other({ issuer: elsewhere });

  test.each<[string, TestCertificate, readonly TestCertificate[], RegExp]>([
    ["for other hosts", named, [CA], OTHER_HOSTS],
    ["of another authority", other(), [issueAuthority({ subject: "other" })], /was not issued by the authority/],
    ["whose chain is incomplete", other({ issuer: between }), [CA], /was not issued by the authority/],
    ["that has expired", other({ to: YESTERDAY }), [CA], /certificate expired on 20\d\d-/],
    ["limited to other names", limited, [elsewhere], /is not accepted: permitted subtree violation/],
    ["for clients", other({ extensions: [forClients, encodeAltNames(HOST)] }), [CA], /is not for servers/],
  ])("is refused %s", async (_, shown, authorities, expected) => {
    expect(await getRefusal(shown, authorities)).toMatch(expected);
  });
});
