// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// TLS and credentials of a real NATS server, from files as the chart mounts them: each way that works, and for each that
// does not an error that names the setting.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { createBus } from "../../src/app/scale/scale-bus.ts";
import { parseConfig } from "../../src/config/config.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { silentLogger } from "../../src/lib/logger.ts";
import type { Bus, NatsSecret } from "../../src/scale/stream/bus.ts";
import { removeAtOurEnd } from "../../tools/cluster/process.ts";
import { findNatsObstacle, NatsServer } from "../../tools/nats-server.ts";
import { BAD_CERTIFICATES } from "../support/bad-certificates.ts";
import {
  encodeAltAddress,
  encodeAltNames,
  forClients,
  forServers,
  isCa,
  issueCertificate,
  keyUsage,
  type TestCertificate,
} from "../support/certificates.ts";
import { createFolder } from "../support/folder.ts";
import { describeReal } from "../support/real-parts.ts";
import { createNatsAccount } from "../support/scale/nats-account.ts";

type SecretFiles = Readonly<Record<string, string | Uint8Array>>;

function makeFolder(files: SecretFiles): string {
  const dir = createFolder();
  removeAtOurEnd(dir);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, name), text);
  return dir;
}

/** A server's or client's certificate of an authority. */
function issueLeaf(issuer: TestCertificate, usage: Buffer, name: string, to?: Date): TestCertificate {
  const extensions = [keyUsage(0x80), usage, encodeAltNames(name)];
  return issueCertificate({ subject: name, issuer, extensions, ...(to && { to }) });
}

function issueAuthority(subject: string): TestCertificate {
  return issueCertificate({ subject, extensions: [isCa, keyUsage(0x04)] });
}

describeReal(
  "a secured NATS server",
  () => {
    const ca = issueAuthority("nats-ca");
    const clientCa = issueAuthority("client-ca");
    const client = issueLeaf(clientCa, forClients, "operator");
    const trusted = { "ca.crt": ca.pem };
    const ownCertificate = { "tls.crt": client.pem, "tls.key": client.keyPem };
    const servers: NatsServer[] = [];
    const buses: Bus[] = [];

    afterEach(async () => {
      for (const bus of buses.splice(0)) await bus.close();
      for (const server of servers.splice(0)) await server.stop();
    });

    async function start(config: string): Promise<number> {
      const server = await NatsServer.start({ config });
      servers.push(server);
      return server.port;
    }

    async function startTls({ isMutual = false, to }: { isMutual?: boolean; to?: Date } = {}) {
      const { pem, keyPem } = issueLeaf(ca, forServers, "localhost", to);
      const dir = makeFolder({ "tls.crt": pem, "tls.key": keyPem, "ca.crt": clientCa.pem });
      const mutual = isMutual ? `ca_file: "${dir}/ca.crt", verify: true` : "";
      return await start(`tls { cert_file: "${dir}/tls.crt", key_file: "${dir}/tls.key", ${mutual} }`);
    }

    /** Opens the stream with the files of a Secret; returns the error, "" for none. */
    async function open(port: number, secret: SecretFiles, scheme = "tls", host = "localhost"): Promise<string> {
      const env = {
        PVO_SCALE_ENABLED: "true",
        PVO_SCALE_NATS_URL: `${scheme}://${host}:${port}`,
        PVO_SCALE_NATS_REPLICAS: "1",
        ...(Object.keys(secret).length > 0 && { PVO_SCALE_NATS_SECRET_PATH: makeFolder(secret) }),
      };
      const parsed = parseConfig({ env, place: { identity: "test" } });
      if (!("config" in parsed)) throw new Error(JSON.stringify(parsed));
      const bus = await createBus(parsed.config, silentLogger, systemClock);
      buses.push(bus);
      return await bus.open().then(
        () => "",
        (error: Error) => error.message,
      );
    }

    test("is read over TLS with its authority", async () => {
      const port = await startTls();
      expect(await open(port, trusted)).toBe("");
      expect(await open(port, trusted, "nats")).toBe("");
    });

    test("is read by an address that its certificate has, not by one that it lacks", async () => {
      const extensions = [keyUsage(0x80), forServers, encodeAltAddress("127.0.0.1")];
      const { pem, keyPem } = issueCertificate({ subject: "nats", issuer: ca, extensions });
      const dir = makeFolder({ "tls.crt": pem, "tls.key": keyPem });
      const port = await start(`tls { cert_file: "${dir}/tls.crt", key_file: "${dir}/tls.key" }`);
      expect(await open(port, trusted, "tls", "127.0.0.1")).toBe("");
      expect(await open(port, trusted)).toContain("scale.nats.secretPath");
      // Its certificate is for the name localhost.
      const other = await startTls();
      expect(await open(other, trusted, "tls", "127.0.0.1")).toContain("scale.nats.secretPath");
    });

    test("gets our certificate where it demands one", async () => {
      const port = await startTls({ isMutual: true });
      expect(await open(port, { ...trusted, ...ownCertificate })).toBe("");
    });

    const wrongTls: [string, NatsSecret, Parameters<typeof startTls>[0]?][] = [
      ["no authority", {}],
      ["another authority", { "ca.crt": clientCa.pem }],
      ["no certificate of ours", trusted, { isMutual: true }],
      [
        "a certificate of another authority",
        { ...trusted, ...toFiles(issueLeaf(ca, forClients, "operator")) },
        { isMutual: true },
      ],
      ["a server's certificate that has expired", trusted, { to: new Date("2021-01-01T00:00:00Z") }],
    ];
    test.each(wrongTls)("with %s is an error of scale.nats.secretPath", async (_, secret, server) => {
      const message = await open(await startTls(server), secret);
      expect(message).toContain("scale.nats.secretPath");
      expect(message).not.toContain("credentials");
    });

    const badSecrets: [string, SecretFiles, RegExp][] = [
      ["a certificate without its key", { ...trusted, "tls.crt": client.pem }, /tls\.crt has no tls\.key/],
      ["a key without its certificate", { ...trusted, "tls.key": client.keyPem }, /tls\.key has no tls\.crt/],
      ...BAD_CERTIFICATES.map(({ name, files, problem }): [string, SecretFiles, RegExp] => [
        name,
        { ...trusted, ...ownCertificate, ...files({ ca: ca.pem, certificate: client.pem, key: client.keyPem }) },
        problem,
      ]),
    ];
    test.each(badSecrets)("is not asked with %s", async (_, secret, problem) => {
      const message = await open(1, secret);
      expect(message).toMatch(/^scale\.nats\.secretPath: /);
      expect(message).toMatch(problem);
      expect(message).not.toMatch(/PRIVATE KEY-----\n|secret\b/);
    });

    test("is read with Windows line breaks in all files", async () => {
      const port = await startTls({ isMutual: true });
      const files = Object.entries({ ...trusted, ...ownCertificate });
      const secret = Object.fromEntries(files.map(([name, text]) => [name, text.replaceAll("\n", "\r\n")]));
      expect(await open(port, secret)).toBe("");
    });

    test("without TLS is an error of the address", async () => {
      const port = await start("");
      expect(await open(port, trusted)).toContain("scale.nats.url");
      expect(await open(port, {})).toContain("scale.nats.url");
    });

    const account = createNatsAccount();
    const accepted: [string, string, NatsSecret][] = [
      ["user and password", 'authorization { user: "u", password: "p" }', { user: "u\n", password: "p\n" }],
      ["a token", 'authorization { token: "secret" }', { token: "secret" }],
      ["a .creds file", account.config, { "nats.creds": account.credentials }],
      [
        "a .creds file with Windows line breaks",
        account.config,
        { "nats.creds": account.credentials.replaceAll("\n", "\r\n") },
      ],
    ];
    test.each(accepted)("accepts %s", async (_, config, secret) => {
      expect(await open(await start(config), secret, "nats")).toBe("");
    });

    const refused: [string, string, NatsSecret][] = [
      ["no credentials", 'authorization { user: "u", password: "p" }', {}],
      ["a wrong password", 'authorization { user: "u", password: "p" }', { user: "u", password: "x" }],
      ["a wrong token", 'authorization { token: "secret" }', { token: "x" }],
      [".creds of another account", account.config, { "nats.creds": createNatsAccount().credentials }],
      [
        ".creds that have expired",
        account.config,
        { "nats.creds": createNatsAccount({ isExpired: true }).credentials },
      ],
    ];
    test.each(refused)("refuses %s", async (_, config, secret) => {
      const message = await open(await start(config), secret, "nats");
      expect(message).toContain("scale.nats.secretPath");
      expect(message).toContain("credentials");
    });

    const [jwt = "", seed = ""] = account.credentials.split("-----BEGIN USER");
    const badCredentials: [string, NatsSecret, string][] = [
      ["invalid .creds", { "nats.creds": "nothing" }, "nats.creds"],
      ["empty .creds", { "nats.creds": "" }, "nats.creds is empty"],
      [".creds without a seed", { "nats.creds": jwt }, "nats.creds"],
      [".creds without a JWT", { "nats.creds": `-----BEGIN USER${seed}` }, "nats.creds"],
      [".creds that are cut off", { "nats.creds": account.credentials.slice(0, 300) }, "nats.creds"],
      [".creds with a wrong letter", { "nats.creds": account.credentials.replace(/\nSU.../, "\nSUAAA") }, "nats.creds"],
      ["an empty token", { token: "\n" }, "token is empty"],
      ["an empty user", { user: "", password: "p" }, "user is empty"],
      ["a password without a user", { password: "p" }, "password has no user"],
    ];
    test.each(badCredentials)("is not asked with %s", async (_, secret, problem) => {
      const message = await open(1, secret, "nats");
      expect(message).toContain(`scale.nats.secretPath: ${problem}`);
      expect(message).not.toContain(account.credentials.split("\n")[5]);
    });

    test("without a right to the stream is an error of the account", async () => {
      const config = `authorization { users = [{ user: "u", password: "p", permissions: {
        publish: ["$JS.API.INFO"], subscribe: ["_INBOX.>"] } }] }`;
      const message = await open(await start(config), { user: "u", password: "p" }, "nats");
      expect(message).toContain("scale.nats.secretPath");
      expect(message).toContain("policy-violations");
    });
  },
  findNatsObstacle(),
);

function toFiles({ pem, keyPem }: TestCertificate): NatsSecret {
  return { "tls.crt": pem, "tls.key": keyPem };
}
