// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The main job with mutual TLS: `run` as a process with the chart's account in a namespace of its own, certificates as
// KubeArmor's operator makes them in a Secret of KubeArmor's namespace, a relay in Go, a real API server.

import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { findClusterObstacle } from "../../tools/cluster/cluster.ts";
import { makeAlert, readAlerts } from "../../tools/kubearmor-node/alerts.ts";
import type { KubeArmorNode } from "../../tools/kubearmor-node/node.ts";
import { startNode } from "../../tools/kubearmor-node/server.ts";
import { SAMPLES_PATH } from "../../tools/samples.ts";
import { eventually } from "../support/eventually.ts";
import {
  createOperatorSpecs,
  findMtlsRelayObstacle,
  issue,
  type MtlsRelay,
  type Pair,
  startMtlsRelay,
} from "../support/mtls.ts";
import { OperatorProcess, readReconciledCounters } from "../support/operator.ts";
import { describeReal, useCluster } from "../support/real-parts.ts";
import { report } from "../support/reports.ts";

const CHART = join(import.meta.dirname, "../../charts/policy-violation-operator");
const OUR_NAMESPACE = "violations";
const ACCOUNT = "policy-violation-operator";
const SECRET = "kubearmor-client-certs";
const FLOOD = readAlerts(SAMPLES_PATH)[0]!;
const REPORT = ["default", "block-pkg-mgmt-tools-exec"] as const;

const missing = findClusterObstacle() ?? (await findMtlsRelayObstacle());

describeReal(
  "run with TLS to the relay",
  () => {
    const cluster = useCluster({ namespaces: ["kubearmor"] });
    let made: Record<string, Pair>;
    let node: KubeArmorNode;
    let relay: MtlsRelay;
    let operator: OperatorProcess;

    beforeAll(async () => {
      made = issue([...createOperatorSpecs(), ...createOperatorSpecs("new-")]);
      await cluster.helm(["install", ACCOUNT, CHART, "-n", OUR_NAMESPACE, "--create-namespace"]);
    });

    beforeEach(async () => {
      node = await startNode({ dropLikeKubeArmor: false });
    });

    afterEach(async () => {
      await operator?.kill();
      await relay?.stop();
      await node.stop();
      await cluster.kubectl(["delete", "secret", SECRET, "-n", "kubearmor", "--ignore-not-found"]);
      await cluster.kubectl(["delete", "pvr", "-A", "--all", "--wait=true"]);
    });

    const served = (prefix = "") => ({ ca: made[`${prefix}ca`]!.cert, server: made[`${prefix}server`]! });

    /** Makes the Secret or changes it; a text that is undefined leaves out its key. */
    async function putSecret(texts: Record<string, string | undefined>): Promise<void> {
      const data = Object.fromEntries(
        Object.entries(texts).flatMap(([key, text]) =>
          text === undefined ? [] : [[key, Buffer.from(text).toString("base64")]],
        ),
      );
      // KubeArmor's are of the type kubernetes.io/tls, which would not let the tests leave out what they leave out.
      const secret = { apiVersion: "v1", kind: "Secret", metadata: { name: SECRET, namespace: "kubearmor" } };
      const input = JSON.stringify({ ...secret, data });
      await cluster.kubectl(["delete", "secret", SECRET, "-n", "kubearmor", "--ignore-not-found"]);
      await cluster.kubectl(["create", "-f", "-"], { input });
    }

    function createClientSecret(prefix = ""): Record<string, string> {
      const { cert, key } = made[`${prefix}client`]!;
      return { "ca.crt": made[`${prefix}ca`]!.cert, "tls.crt": cert, "tls.key": key };
    }

    async function startOperator(env: Record<string, string> = {}): Promise<void> {
      const token = await cluster.createServiceAccountToken(OUR_NAMESPACE, ACCOUNT);
      operator = new OperatorProcess({
        kubeconfig: cluster.kubeconfigFor(token),
        relay: relay.address,
        env: { PVO_FEED_RELAY_RECONNECT_MAX_MS: "200", PVO_REPORTS_MIN_INTERVAL_MS: "200", ...env },
      });
    }

    async function expectAlerts(count: number): Promise<void> {
      const before = await operator.readMetric("alerts_received_total");
      await node.waitForClients();
      await node.flood({ alert: FLOOD, count });
      await operator.waitForReceived(before + count);
    }

    async function streamDetail(): Promise<string> {
      const { body } = await operator.get("/readyz");
      return body;
    }

    async function waitForMessage(text: RegExp): Promise<void> {
      let last = "";
      await eventually(`${text}`, async () => {
        last = await streamDetail();
        return text.test(last);
      }).catch((error: unknown) => {
        throw new Error(`${String(error)}; got ${last}`);
      });
    }

    test("finds out by itself: plaintext where KubeArmor has no TLS, TLS from when it has, and not back", async () => {
      relay = await startMtlsRelay(node.address, undefined);
      await startOperator();
      await operator.streamOpen();
      await expectAlerts(100);
      await operator.waitForLine(({ mode, security }) => mode === "auto" && security === "plaintext");

      await putSecret(createClientSecret());
      await relay.restart(served());
      await operator.waitForLine(({ mode, security }) => mode === "auto" && security === "tls");
      await operator.streamOpen();
      await expectAlerts(100);

      await cluster.kubectl(["delete", "secret", SECRET, "-n", "kubearmor"]);
      await relay.restart(undefined);
      await waitForMessage(/Secret kubearmor\/kubearmor-client-certs is gone, and plaintext is refused after TLS/);
      expect(node.getStats().clients).toBe(0);

      await putSecret(createClientSecret());
      await waitForMessage(/the peer answers in plaintext/);
      await relay.restart(served());
      await operator.streamOpen();
      await expectAlerts(100);
      await operator.waitForWritten();
      expect((await report(cluster, ...REPORT))?.summary.occurrences).toBe(300);
      await readReconciledCounters(operator);
    });

    test("certificates swapped under load: one gap, and every alert that came is in the report", async () => {
      await putSecret(createClientSecret());
      relay = await startMtlsRelay(node.address, served());
      await startOperator({ PVO_FEED_RELAY_TLS_MODE: "secret" });
      await operator.streamOpen();
      await node.waitForClients();
      const over = new AbortController();
      const flowing = node.flood({ alert: FLOOD, count: 100_000, ratePerSec: 1000, signal: over.signal });
      await operator.waitForReceived(500);

      const beforeSwap = await operator.readMetric("alerts_received_total");
      await putSecret(createClientSecret("new-"));
      await relay.restart(served("new-"));
      await eventually("a second stream", () => node.getStats().clientsSeen === 2);
      const pushedAtReturn = node.getStats().pushed;
      await operator.waitForReceived((await operator.readMetric("alerts_received_total")) + 500);
      over.abort();
      await flowing.catch(() => undefined);
      // Alerts do not overtake each other: when this one has come, all before it have, or never will.
      node.push(makeAlert({ PolicyName: "" }));
      await eventually("the last alert", async () =>
        (await operator.readMetrics()).get('policy_violation_alerts_rejected_total{reason="no_policy"}'),
      );
      await operator.waitForWritten();

      expect(await operator.readMetric("stream_gaps_total")).toBe(1);
      const { counted } = await readReconciledCounters(operator);
      const found = await report(cluster, ...REPORT);
      expect(found?.summary.occurrences).toBe(counted);
      expect(found?.coverage).toMatchObject({ gaps: 1, lowerBound: true });
      // All that had come before the swap and all that was sent after the return: only the gap's are missing.
      const flood = node.getStats().pushed - 1;
      expect(counted).toBeGreaterThanOrEqual(beforeSwap + flood - pushedAtReturn);
      expect(counted).toBeLessThanOrEqual(flood);
    });

    test("each fault of the Secret is reported, and the stream opens when it is fixed", async () => {
      const good = createClientSecret();
      const foreign = createClientSecret("new-");
      relay = await startMtlsRelay(node.address, served());
      await startOperator({ PVO_FEED_RELAY_TLS_MODE: "secret" });
      await waitForMessage(/Secret kubearmor\/kubearmor-client-certs does not exist: turn on KubeArmor's TLS/);
      await putSecret({ ...good, "ca.crt": undefined });
      await waitForMessage(/kubearmor-client-certs has no key ca\.crt \(it has tls\.crt, tls\.key\)/);
      await putSecret({ ...good, "tls.crt": "no PEM" });
      await waitForMessage(/tls\.crt of Secret kubearmor\/kubearmor-client-certs holds no certificate in PEM form/);
      await putSecret({ ...good, "tls.key": good["tls.crt"] });
      await waitForMessage(/tls\.key of Secret kubearmor\/kubearmor-client-certs holds no private key in PEM form/);
      await putSecret({ ...good, "tls.key": foreign["tls.key"] });
      await waitForMessage(/tls\.key of Secret \S+ is not the key of tls\.crt of Secret/);
      await putSecret({ ...good, "ca.crt": foreign["ca.crt"] });
      await waitForMessage(/the relay's certificate was not issued by the authority in ca\.crt of Secret/);
      await putSecret({ ...foreign, "ca.crt": good["ca.crt"] });
      await waitForMessage(/the relay (refuses our client certificate|hung up right after the TLS handshake)/);
      expect(await operator.readMetric("alerts_received_total")).toBe(0);
      await putSecret(good);
      await operator.streamOpen();
      await expectAlerts(10);
      // Each was logged once, without a key.
      const warned = operator.log.filter(({ level }) => level === "warn").map((line) => String(line["peerMessage"]));
      expect(warned.length).toBeGreaterThanOrEqual(3);
      expect(JSON.stringify(operator.log)).not.toContain("PRIVATE KEY-----\\n");
    });

    test("a Secret that may not be read keeps the stream closed, and an API server that is away does not", async () => {
      await putSecret(createClientSecret());
      const binding = ["rolebinding", `${OUR_NAMESPACE}-${ACCOUNT}-relay-tls`, "-n", "kubearmor"];
      const granted = await cluster.kubectl(["get", ...binding, "-o", "json"]);
      await cluster.kubectl(["delete", ...binding]);
      relay = await startMtlsRelay(node.address, undefined);
      await startOperator();
      await waitForMessage(
        /access to Secret .* is denied, so it is unknown whether KubeArmor uses TLS: allow get on it/,
      );
      expect(node.getStats().clientsSeen).toBe(0);
      await relay.restart(served());
      const { metadata, ...rest } = JSON.parse(granted);
      const { name, namespace, labels } = metadata;
      const again = JSON.stringify({ ...rest, metadata: { name, namespace, labels } });
      await cluster.kubectl(["create", "-f", "-"], { input: again });
      await operator.streamOpen();
      await expectAlerts(10);

      await cluster.stopApiServer();
      try {
        await relay.restart(served());
        await eventually("a second stream", async () => node.getStats().clientsSeen === 2);
        await expectAlerts(10);
      } finally {
        await cluster.startApiServer();
      }
      await operator.waitForWritten(120_000);
      expect((await report(cluster, ...REPORT))?.summary.occurrences).toBe(20);
    });
  },
  missing,
);

describeReal(
  "the chart's right to the relay's Secret",
  () => {
    const cluster = useCluster({ controllerManager: false });

    async function renderRoles(...set: string[]): Promise<unknown[]> {
      const text = await cluster.helm([
        ...["template", "pvo", CHART, "-n", OUR_NAMESPACE],
        ...set.flatMap((value) => ["--set", value]),
      ]);
      const objects = parseAllDocuments(text).map((each) => each.toJS() as Record<string, unknown> | null);
      return objects
        .filter((each) => each?.["kind"] === "Role" && JSON.stringify(each).includes('"secrets"'))
        .map((each) => {
          const { metadata, rules } = each as { metadata: { namespace: string }; rules: unknown };
          return { namespace: metadata.namespace, rules };
        });
    }
    const right = (namespace: string, name = SECRET) => ({
      namespace,
      rules: [{ apiGroups: [""], resources: ["secrets"], resourceNames: [name], verbs: ["get"] }],
    });

    test("is to one Secret, where the relay's address or the configuration says", async () => {
      expect(await renderRoles()).toEqual([right("kubearmor")]);
      const address = "config.feed.relay.address";
      expect(await renderRoles(`${address}=kubearmor.security.svc.cluster.local:32767`)).toEqual([right("security")]);
      expect(await renderRoles(`${address}=kubearmor.security:32767`)).toEqual([right("security")]);
      expect(await renderRoles(`${address}=kubearmor:32767`)).toEqual([right(OUR_NAMESPACE)]);
      expect(await renderRoles(`${address}=relay.example.com:32767`)).toEqual([right("kubearmor")]);
      const secret = "config.feed.relay.tls.secret";
      expect(await renderRoles(`${secret}.namespace=certs`, `${secret}.name=relay-client`)).toEqual([
        right("certs", "relay-client"),
      ]);
      expect(await renderRoles("config.feed.relay.tls.mode=secret")).toEqual([right("kubearmor")]);
    });

    test("is not asked for where it is not needed", async () => {
      expect(await renderRoles("config.feed.relay.tls.mode=off")).toEqual([]);
      expect(await renderRoles("config.feed.relay.tls.mode=files")).toEqual([]);
      expect(await renderRoles("rbac.create=false")).toEqual([]);
    });

    test("waits for the namespace: the chart installs before KubeArmor does", async () => {
      await cluster.helm(["install", "pvo", CHART, "-n", OUR_NAMESPACE, "--create-namespace"]);
      const list = ["get", "role", "-A", "-l", "app.kubernetes.io/instance=pvo", "-o", "name"];
      const before = await cluster.kubectl(list);
      expect(before).not.toContain("relay-tls");
      await cluster.kubectl(["create", "namespace", "kubearmor"]);
      await cluster.helm(["upgrade", "pvo", CHART, "-n", OUR_NAMESPACE]);
      expect(await cluster.kubectl(list)).toContain("relay-tls");
    });
  },
  missing,
);
