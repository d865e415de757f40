// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The relay source with mutual TLS against Go's crypto/tls and grpc-go, as KubeArmor's relay uses them, and with
// certificates that crypto/x509 made as KubeArmor makes them. Each wrong certificate is refused with its own message, and
// the same source connects by itself once the certificate is fixed.

import { createServer as createTlsServer } from "node:tls";
import { afterEach, beforeAll, expect, it } from "vitest";
import { requireTls } from "../../src/alerts/tls/mode.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { makeAlert } from "../../tools/kubearmor-node/alerts.ts";
import type { KubeArmorNode } from "../../tools/kubearmor-node/node.ts";
import {
  createHelmSpecs,
  createOperatorSpecs,
  findMtlsRelayObstacle,
  issue,
  type MtlsRelay,
  type Pair,
  startMtlsRelay,
} from "../support/mtls.ts";
import { describeReal } from "../support/real-parts.ts";
import { ChangingSecret, type Running, run, startNodeForTest, startTcpServer } from "./alerts-bed.ts";

const missing = await findMtlsRelayObstacle();
const PATIENCE = { timeout: 60_000 };

describeReal(
  "mutual TLS to a relay in Go",
  () => {
    let made: Record<string, Pair>;
    let behind: KubeArmorNode;
    const relays: MtlsRelay[] = [];

    const pair = (name: string): Pair => {
      const found = made[name];
      if (found === undefined) throw new Error(`no certificate ${name}`);
      return found;
    };
    const served = (server = "server", ca = "ca") => ({ ca: pair(ca).cert, server: pair(server) });

    beforeAll(() => {
      const [, server, client] = createOperatorSpecs();
      if (server === undefined || client === undefined) throw new Error("no specs");
      made = issue([
        ...createOperatorSpecs(),
        ...createOperatorSpecs("other-"),
        ...createHelmSpecs("helm-"),
        ...createHelmSpecs("other-helm-"),
        { ...server, name: "server-expired", fromHours: -48, toHours: -24 },
        { ...server, name: "server-tomorrow", fromHours: 24 },
        { ...server, name: "server-elsewhere", dns: ["relay.example"], ips: [] },
        { ...server, name: "server-nameless", dns: [], ips: [] },
        { ...client, name: "server-by-client", issuer: "client", usage: "server", ips: ["127.0.0.1"] },
        { ...client, name: "client-expired", fromHours: -48, toHours: -24 },
        { ...client, name: "client-with-names", ips: ["127.0.0.1"] },
        { name: "helm-server-expired", issuer: "helm-ca", fromHours: -48, toHours: -24, ips: ["127.0.0.1"] },
        { name: "helm-client-with-names", issuer: "helm-ca", usage: "client", toHours: 24, ips: ["127.0.0.1"] },
      ]);
    });

    afterEach(async () => {
      for (const relay of relays.splice(0)) await relay.stop();
    });

    async function startRelay(tls: Parameters<typeof startMtlsRelay>[1]): Promise<MtlsRelay> {
      behind = await startNodeForTest({ dropLikeKubeArmor: false });
      const started = await startMtlsRelay(behind.address, tls);
      relays.push(started);
      return started;
    }

    /** A source that insists on TLS, with the operator's certificates unless others are given. */
    function runSecured(address: string, secret: ChangingSecret): Running {
      return run({ address, security: requireTls(secret, systemClock) });
    }

    function createSecret(client = "client", ca = "ca"): ChangingSecret {
      const secret = new ChangingSecret();
      secret.put(pair(ca).cert, pair(client));
      return secret;
    }

    async function expectAlerts({ until, listener }: Running): Promise<void> {
      const before = listener.count("alert");
      await until(() => listener.count("connected") > 0);
      await behind.waitForClients();
      behind.push(makeAlert());
      await until(() => listener.count("alert") === before + 1);
    }

    async function waitForRefusal({ until, listener, source }: Running): Promise<string> {
      await until(() => listener.count("disconnected") > 0);
      expect(listener.count("connected")).toBe(0);
      expect(source.stats.messages).toBe(0);
      expect(listener.disconnects[0]?.reason).toBe("connect_failed");
      return listener.disconnects[0]?.message ?? "";
    }

    it.each([
      ["KubeArmor's operator, which OpenSSL takes for self-signed,", ""],
      ["KubeArmor's Helm chart", "helm-"],
    ])("works with the certificates of %s", async (_, prefix) => {
      const { address } = await startRelay(served(`${prefix}server`, `${prefix}ca`));
      await expectAlerts(runSecured(address, createSecret(`${prefix}client`, `${prefix}ca`)));
    });

    it("takes the relay's certificate by a bundle of authorities, old and new", async () => {
      const { address } = await startRelay(served());
      const secret = createSecret();
      secret.put(pair("other-ca").cert + pair("helm-ca").cert + pair("ca").cert, pair("client"));
      await expectAlerts(runSecured(address, secret));
    });

    const SECRET = "Secret kubearmor/kubearmor-client-certs";
    const NOT_OURS = "was not issued by the authority in ca\\.crt";
    const EARLY = "is valid only from 20\\d\\d-.*Z on, and it is .* here: check the clocks";
    const OTHER_HOST = "is not for 127\\.0\\.0\\.1 but for relay\\.example: set feed\\.relay\\.tls\\.serverName";
    const EXPIRED = "expired on 20\\d\\d-.*Z: .*restart";

    it.each<[string, string, string, string]>([
      ["of an authority with the same name", "other-server", "ca", `${NOT_OURS} of ${SECRET}: .*restart its relay`],
      ["of another authority", "other-helm-server", "helm-ca", "was not issued by the authority"],
      ["that the holder of a client's certificate issued", "server-by-client", "ca", "was not issued by the authority"],
      ["that has expired", "server-expired", "ca", EXPIRED],
      ["of Helm's authority that has expired", "helm-server-expired", "helm-ca", EXPIRED],
      ["that is not valid yet", "server-tomorrow", "ca", EARLY],
      ["for another host", "server-elsewhere", "ca", OTHER_HOST],
      ["for no host", "server-nameless", "ca", "names no host: .*tlsCertProvider=self"],
      ["for a client", "client-with-names", "ca", "is not for servers"],
      ["for a client of Helm's authority", "helm-client-with-names", "helm-ca", "is not for servers"],
    ])("refuses a relay's certificate %s", async (_, server, ca, expected) => {
      const prefix = ca.replace("ca", "");
      const started = await startRelay(served(server, ca));
      const running = runSecured(started.address, createSecret(`${prefix}client`, ca));
      expect(await waitForRefusal(running)).toMatch(new RegExp(`^the relay's certificate ${expected}`));
      await started.restart(served(`${prefix}server`, ca));
      await expectAlerts(running);
      expect(running.logged.at(-1)).toBe("info");
    });

    const EXPIRED_OURS = "expired on 20\\d\\d-.*Z: it must be reissued";
    const REFUSED = "the relay refuses our client certificate:";

    it.each<[string, string, string]>([
      ["of another authority", "other-client", `^${REFUSED} its authority did not issue it`],
      ["for a server", "server", `^${REFUSED} .*not for clients`],
      ["that has expired", "client-expired", `^feed\\.relay\\.tls: tls\\.crt of ${SECRET} ${EXPIRED_OURS}`],
    ])("explains a refusal of our own certificate %s", async (_, client, expected) => {
      const { address } = await startRelay(served());
      const secret = createSecret(client);
      const running = runSecured(address, secret);
      expect(await waitForRefusal(running)).toMatch(new RegExp(expected));
      secret.put(pair("ca").cert, pair("client"));
      await expectAlerts(running);
    });

    it("refuses a relay that went back to plaintext", async () => {
      const started = await startRelay(undefined);
      const running = runSecured(started.address, createSecret());
      expect(await waitForRefusal(running)).toMatch(/^the peer answers in plaintext, which is refused/);
      await started.restart(served());
      await expectAlerts(running);
    });

    it("hints at TLS when it is off and the relay wants it", async () => {
      const { address } = await startRelay(served());
      expect(await waitForRefusal(run({ address }))).toMatch(/it may require TLS, which is off here/);
    });

    it("refuses a TLS server that does not speak HTTP/2", async () => {
      const { cert, key } = pair("server");
      const server = createTlsServer({ cert, key });
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      const at = server.address();
      if (at === null || typeof at === "string") throw new Error("no port");
      try {
        expect(await waitForRefusal(runSecured(`127.0.0.1:${at.port}`, createSecret()))).toMatch(
          /speaks TLS but not gRPC/,
        );
      } finally {
        server.close();
      }
    });

    it("gives up a peer that takes the connection and never answers the handshake", async () => {
      const peer = await startTcpServer((socket) => socket.resume());
      const security = requireTls(createSecret(), systemClock);
      const { until, listener } = run({ address: peer.address, healthTimeoutMs: 100, security });
      await until(() => listener.count("disconnected") >= 3);
      expect(listener.disconnects[0]?.message).toBe("the TLS handshake had no answer within 100 ms");
      await expect.poll(() => peer.sockets.size, PATIENCE).toBeLessThanOrEqual(1);
    });

    it("keeps an open stream when the certificates change: new ones are for the next connection", async () => {
      const { address } = await startRelay(served());
      const secret = createSecret();
      const running = runSecured(address, secret);
      await expectAlerts(running);
      secret.put(pair("other-ca").cert, pair("other-client"));
      await expectAlerts(running);
      expect(running.source.stats.attempts).toBe(1);
    });
  },
  missing,
);
