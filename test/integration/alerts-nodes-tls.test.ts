// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The source that reads every node, with mutual TLS. Certificates are made by crypto/x509 as KubeArmor's daemon makes
// them at each start: subject and serial number of their authority, one name, the node's IP address.

import { beforeAll, expect, it } from "vitest";
import { preferTls, requireTls } from "../../src/alerts/tls/mode.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { makeAlert } from "../../tools/kubearmor-node/alerts.ts";
import { KEEPALIVE, type KubeArmorNode } from "../../tools/kubearmor-node/node.ts";
import {
  createDaemonSpec,
  createOperatorSpecs,
  findMtlsRelayObstacle,
  issue,
  type Pair,
  startMtlsRelay,
} from "../support/mtls.ts";
import { describeReal } from "../support/real-parts.ts";
import {
  ChangingSecret,
  createTarget,
  type RunningNodes,
  runNodes,
  startNodeForTest as startNode,
} from "./alerts-bed.ts";

const missing = await findMtlsRelayObstacle();
const PATIENCE = { timeout: 60_000, interval: 20 };
const IPS = ["127.0.0.11", "127.0.0.12", "127.0.0.13"] as const;
const HOSTS = [...IPS, "127.0.0.1"];

describeReal(
  "nodes with mutual TLS",
  () => {
    let made: Record<string, Pair>;
    const secret = new ChangingSecret();
    const security = requireTls(secret, systemClock);

    const pair = (name: string): Pair => {
      const found = made[name];
      if (found === undefined) throw new Error(`no certificate ${name}`);
      return found;
    };

    beforeAll(() => {
      made = issue([
        ...createOperatorSpecs(),
        ...createOperatorSpecs("other-"),
        ...HOSTS.flatMap((ip) => [
          createDaemonSpec(ip),
          createDaemonSpec(ip, "other-"),
          createDaemonSpec(ip, "", "next-"),
        ]),
      ]);
      secret.put(pair("ca").cert, pair("client"));
    });

    /** Starts a node that demands the clients' certificate. OpenSSL verifies it only where it is pinned, too. */
    function startDaemon(host: string, certificate = host): Promise<KubeArmorNode> {
      const { cert, key } = pair(certificate);
      return startNode({ host, keepalive: KEEPALIVE.daemon, tls: { cert, key, ca: pair("client").cert } });
    }

    async function expectConnected({ source }: RunningNodes, desired: number, connected = desired): Promise<void> {
      await expect.poll(() => source.nodes, PATIENCE).toEqual({ desired, connected });
    }

    it("are read, each verified by its IP address, also after a restart with a new certificate", async () => {
      const daemons = await Promise.all(IPS.map((ip) => startDaemon(ip)));
      const running = runNodes({ security });
      for (const [i, { address }] of daemons.entries()) {
        running.pods.onNode(createTarget(`uid-${i}`, `node-${i}`, address));
      }
      running.pods.onListed();
      await expectConnected(running, 3);
      const [first] = daemons as [KubeArmorNode, ...KubeArmorNode[]];
      await first.stop();
      await expectConnected(running, 3, 2);
      const { port } = first;
      const { cert, key } = pair(`next-${IPS[0]}`);
      const again = await startNode({ host: IPS[0], port, tls: { cert, key, ca: pair("client").cert } });
      await expectConnected(running, 3);
      for (const each of [again, ...daemons.slice(1)]) each.push(makeAlert({ HostName: each.address }));
      await expect.poll(() => running.listener.count("alert"), PATIENCE).toBe(3);
      expect(running.listener.disconnects).toHaveLength(1);
    });

    it.each<[string, () => Promise<{ address: string }>, RegExp]>([
      [
        "a certificate of another authority",
        () => startDaemon(IPS[1], `other-${IPS[1]}`),
        /^node node-b: KubeArmor at 127\.0\.0\.12:\d+'s certificate was not issued by the authority in ca\.crt of .*spec\.nodeName=node-b/,
      ],
      [
        "a certificate for another address",
        () => startDaemon(IPS[1], IPS[2]),
        /^node node-b: KubeArmor at 127\.0\.0\.12:\d+'s certificate is not for 127\.0\.0\.12 but for 127\.0\.0\.13: /,
      ],
      [
        "no TLS",
        () => startNode({ host: IPS[1] }),
        /^node node-b: the peer answers in plaintext, which is refused where TLS is required/,
      ],
    ])("are named where one of them has %s, and the others are read", async (_, start, expected) => {
      const [good, bad] = [await startDaemon(IPS[0]), await start()];
      const running = runNodes({ security }, 10);
      running.pods.onNode(createTarget("uid-a", "node-a", good.address));
      await expectConnected(running, 1);
      running.pods.onNode(createTarget("uid-b", "node-b", bad.address));
      running.pods.onListed();
      await expect.poll(() => running.listener.count("disconnected"), PATIENCE).toBe(1);
      expect(running.listener.disconnects[0]).toMatchObject({ reason: "node_down", nodes: 1 });
      expect(running.listener.disconnects[0]?.message).toMatch(expected);
      expect(running.source.problem).toMatch(expected);
      expect(running.source.nodes).toEqual({ desired: 2, connected: 1 });
      good.push(makeAlert());
      await expect.poll(() => running.listener.count("alert"), PATIENCE).toBe(1);
    });

    it("are read in plaintext where KubeArmor has no certificates, node by node", async () => {
      const none = new ChangingSecret();
      const a = await startNode({ host: IPS[0] });
      const running = runNodes({ security: preferTls(none, systemClock) });
      running.pods.onNode(createTarget("uid-a", "node-a", a.address));
      running.pods.onListed();
      await expectConnected(running, 1);
      a.push(makeAlert());
      await expect.poll(() => running.listener.count("alert"), PATIENCE).toBe(1);
    });

    it("are read from Go's crypto/tls, which demands a certificate of its authority", async () => {
      const behind = await startNode({ dropLikeKubeArmor: false });
      const relay = await startMtlsRelay(behind.address, { ca: pair("ca").cert, server: pair("127.0.0.1") });
      try {
        const running = runNodes({ security });
        running.pods.onNode(createTarget("uid-a", "node-a", relay.address));
        running.pods.onListed();
        await expectConnected(running, 1);
        await behind.waitForClients();
        behind.push(makeAlert());
        await expect.poll(() => running.listener.count("alert"), PATIENCE).toBe(1);
        await relay.restart({ ca: pair("other-ca").cert, server: pair("127.0.0.1") });
        await expect
          .poll(() => running.source.problem, PATIENCE)
          .toMatch(
            /^node node-a: KubeArmor at 127\.0\.0\.1:\d+ refuses our client certificate: its authority did not issue it/,
          );
      } finally {
        await relay.stop();
      }
    });
  },
  missing,
);
