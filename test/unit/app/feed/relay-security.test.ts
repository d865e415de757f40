// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The Secret that is asked for, and the result of each answer of the API server. Certificates themselves are in
// test/integration/alerts-tls.test.ts.

import { X509Certificate } from "node:crypto";
import { expect, test } from "vitest";
import type { Security } from "../../../../src/alerts/tls/mode.ts";
import { createRelaySecurity } from "../../../../src/app/feed/relay-security.ts";
import { parseConfig } from "../../../../src/config/config.ts";
import { ApiError, type ApiErrorCode } from "../../../../src/kube/api-error.ts";
import type { KubeRequest } from "../../../../src/kube/client.ts";
import { silentLogger } from "../../../../src/lib/logger.ts";
import { issueCertificate } from "../../../support/certificates.ts";
import { FakeClock } from "../../../support/fake-clock.ts";
import { SIGNAL } from "../../../support/signal.ts";

const CERTIFICATE = issueCertificate({ subject: "kubearmor" });
const CERTIFICATE_EXPIRES_MS = Date.parse(new X509Certificate(CERTIFICATE.pem).validTo);
const encodeBase64 = (text: string) => Buffer.from(text).toString("base64");
const SECRET = {
  data: {
    "ca.crt": encodeBase64(CERTIFICATE.pem),
    "tls.crt": encodeBase64(CERTIFICATE.pem),
    "tls.key": encodeBase64(CERTIFICATE.keyPem),
  },
};

/** Asks for security as configured, once for each answer of the API server. */
async function decideSecurity(
  relay: Record<string, unknown>,
  ...answers: (ApiErrorCode | object)[]
): Promise<{ paths: string[]; decided: Security[]; expiries: (number | undefined)[] }> {
  const fileText = JSON.stringify({ feed: { relay } });
  const parsed = parseConfig({ fileText, place: { identity: "test", namespace: "ours" } });
  if ("problems" in parsed) throw new Error(JSON.stringify(parsed.problems));
  const paths: string[] = [];
  const client = {
    request<T>({ path }: KubeRequest): Promise<T> {
      const answer = answers[paths.length];
      paths.push(path);
      if (typeof answer !== "string") return Promise.resolve(answer as T);
      return Promise.reject(new ApiError(answer, `the server said ${answer}`));
    },
  };
  const clock = new FakeClock(Date.parse("2030-01-01T00:00:00Z"), 1);
  const expiries: (number | undefined)[] = [];
  const choose = createRelaySecurity(parsed.config, client, clock, silentLogger, (ms) => expiries.push(ms));
  const decided: Security[] = [];
  for (const _ of answers) decided.push(await choose(SIGNAL));
  return { paths, decided, expiries };
}

const listKinds = (decided: readonly Security[]) => decided.map(({ kind }) => kind);

test.each([
  ["kubearmor.kubearmor.svc:32767", {}, "kubearmor/secrets/kubearmor-client-certs"],
  ["kubearmor.security.svc.cluster.local:1", {}, "security/secrets/kubearmor-client-certs"],
  ["kubearmor.security:1", {}, "security/secrets/kubearmor-client-certs"],
  ["kubearmor:1", {}, "ours/secrets/kubearmor-client-certs"],
  ["10.1.2.3:1", {}, "kubearmor/secrets/kubearmor-client-certs"],
  ["relay.example.com:1", {}, "kubearmor/secrets/kubearmor-client-certs"],
  ["[2001:db8::1]:1", {}, "kubearmor/secrets/kubearmor-client-certs"],
  ["10.1.2.3:1", { namespace: "certs", name: "client" }, "certs/secrets/client"],
])("the relay at %s with %j has its Secret in %s", async (address, secret, path) => {
  const { paths } = await decideSecurity({ address, tls: { secret } }, "NotFound");
  expect(paths).toEqual([`/api/v1/namespaces/${path}`]);
});

test("off makes no request", async () => {
  const { paths, decided } = await decideSecurity({ tls: { mode: "off" } }, SECRET);
  expect(paths).toEqual([]);
  expect(listKinds(decided)).toEqual(["plaintext"]);
});

test("auto is plaintext only where the Secret does not exist for certain", async () => {
  const doubts: ApiErrorCode[] = ["NotServed", "Unavailable", "NotAnswered", "Throttled", "Unauthorized", "Unknown"];
  const { decided } = await decideSecurity({}, ...doubts, "Forbidden", "NotFound");
  expect(listKinds(decided)).toEqual([...doubts.map(() => "refused"), "refused", "plaintext"]);
  expect(decided[1]).toEqual({
    kind: "refused",
    message:
      "Secret kubearmor/kubearmor-client-certs can't be read, so it is unknown whether KubeArmor uses TLS: the server said Unavailable",
  });
});

test("auto keeps to the last answer while there is none", async () => {
  const { decided } = await decideSecurity({}, "NotFound", "Unavailable", SECRET, "NotAnswered");
  expect(listKinds(decided)).toEqual(["plaintext", "plaintext", "tls", "tls"]);
});

test("auto never goes back to plaintext", async () => {
  const { decided } = await decideSecurity({}, "NotFound", SECRET, "NotFound", "Unavailable", SECRET);
  expect(listKinds(decided)).toEqual(["plaintext", "tls", "refused", "refused", "tls"]);
});

test("the expiry of the certificates is reported with each decision to connect", async () => {
  const { expiries } = await decideSecurity({}, "NotFound", SECRET, "NotFound");
  expect(expiries).toEqual([undefined, CERTIFICATE_EXPIRES_MS]);
});

test("a Secret that is there and of no use is no reason for plaintext either", async () => {
  const { decided } = await decideSecurity({}, {}, { data: { "ca.crt": 1 } }, "NotFound");
  expect(listKinds(decided)).toEqual(["refused", "refused", "refused"]);
});

test("secret insists on it", async () => {
  const { decided } = await decideSecurity({ tls: { mode: "secret" } }, "NotFound", SECRET);
  expect(listKinds(decided)).toEqual(["refused", "tls"]);
});

test("files that are not there are named", async () => {
  const { decided } = await decideSecurity({ tls: { mode: "files", files: { ca: "/nowhere/ca.crt" } } }, SECRET);
  expect(decided).toEqual([
    { kind: "refused", message: expect.stringMatching(/^\/nowhere\/ca\.crt does not exist: mount it there/) },
  ]);
});
