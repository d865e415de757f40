// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The user of a process chooses its arguments, paths and names. What an attacker may write there is followed to every
// place where a person or a program reads it: etcd, Events, kubectl's output, the log.

import { expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import type { Report } from "../../src/api/v1alpha1.ts";
import { readAlerts, type WireAlert } from "../../tools/kubearmor-node/alerts.ts";
import { listObjects, renderManifest } from "../../tools/sample-objects.ts";
import { readSampleAlerts, SAMPLES_PATH } from "../../tools/samples.ts";
import { eventually } from "../support/eventually.ts";
import { readReconciledCounters } from "../support/operator.ts";
import { useNode } from "../support/operator-bed.ts";
import { describeReal, useCluster } from "../support/real-parts.ts";
import { listReports } from "../support/reports.ts";
import { findFaults } from "../unit/report/report-check.ts";

const SECRET = "hunter2SECRET9";
const SAMPLE = readAlerts(SAMPLES_PATH).find(({ PodName }) => PodName?.startsWith("wordpress-7")) as WireAlert;
const NAMESPACE = SAMPLE.NamespaceName as string;

/** Texts that make a terminal, a log reader or a browser act, or show something else than there is. */
const RAW = /[^\P{C}\n]|[\u2028\u2029]/u;

const TEXTS: readonly string[] = [
  "\x1b[2J\x1b]0;owned\x07\x1b[31m",
  "\x9b31m\x00\x08\r",
  "\u202egnp.exe\u2066\u200b\ufeff",
  "a: &x [*x]\n---\n- !!js/function x\n# {{ .Values }} ${jndi:ldap://x}",
  "[click](javascript:alert(1)) | <script>alert(1)</script> `rm -rf` **x**",
  "__proto__",
  "constructor",
  "toString",
];
const POLICIES: readonly string[] = [
  "../x",
  "../../../etc/passwd",
  "kube-system",
  "p".repeat(300),
  `${"p".repeat(299)}q`,
  "Foo",
  "foo",
  "foo!",
  "FOO",
  "__proto__",
  "constructor",
  "default-posture",
  "\x1b[31mred",
  "-",
  "a/b?c=d#e%00",
];
const NAMESPACES = ["../x", "n".repeat(300), "__proto__", "\x1b[2J", "kube-system", "default"];

let time = Date.now() - 60_000;

function createAlert(mods: Partial<WireAlert>): WireAlert {
  time += 10;
  return { ...SAMPLE, UpdatedTime: new Date(time).toISOString(), HostPID: time % 100_000, ...mods };
}

function createHostileAlerts(): WireAlert[] {
  const command = (text: string) => ({ Source: `/bin/sh -c ${text}`, Resource: `/usr/bin/x ${text}` });
  return [
    ...TEXTS.flatMap((text) => [
      createAlert(command(text)),
      createAlert({ ...command(text), Operation: "File", Resource: `/tmp-x/${text}`, Cwd: text, TTY: text }),
      createAlert({ Message: text, Tags: `${text},x`, ContainerName: text, Labels: text, Action: text, Type: text }),
      createAlert({ PodName: text, Operation: text }),
      createAlert({ PolicyName: "", Type: text, NamespaceName: text }),
    ]),
    ...POLICIES.map((PolicyName) => createAlert({ PolicyName })),
    ...NAMESPACES.map((NamespaceName) => createAlert({ NamespaceName, PolicyName: "same" })),
    createAlert(command(`--password ${SECRET} ${"A".repeat(65_536)}`)),
    createAlert(command(`${"A".repeat(65_536)} --password ${SECRET}`)),
    createAlert(command(`curl -H 'Authorization: Bearer ${SECRET}' https://user:${SECRET}@host/?token=${SECRET}`)),
    createAlert({ ProcessName: `/x --token=${SECRET}`, ParentProcessName: `/y -p${SECRET} PASSWORD=${SECRET}` }),
    createAlert({ Cwd: `/tmp/password=${SECRET}`, Data: `syscall=X args=--api-key=${SECRET}` }),
    createAlert({ PolicyName: "", Source: `x --password ${SECRET}` }),
  ];
}

describeReal("hostile input", () => {
  const cluster = useCluster({ crds: true });
  const bed = useNode(cluster, { dropLikeKubeArmor: false });

  test("is followed to every place where it is read, and nothing raw and no secret is there", async () => {
    await cluster.apply(renderManifest(listObjects(readSampleAlerts())));
    const operator = await bed.start({ env: { PVO_LOG_LEVEL: "debug" } });
    const alerts = createHostileAlerts();
    bed.node.push(alerts);
    await operator.waitForReported(alerts.length);
    const { received } = await readReconciledCounters(operator);
    expect(received).toBe(alerts.length);
    await eventually("Events", async () => (await operator.readMetric("events_sent_total")) > 5);

    const reports = await listReports(cluster);
    expect(reports.flatMap((report: Report) => findFaults(report))).toEqual([]);
    // Each policy has a report of its own, however its name is spelled.
    const reported = new Set(reports.map((report: Report) => report.policy.name));
    expect(
      POLICIES.filter((name) => name.length < 300 && !RAW.test(name)).filter((name) => !reported.has(name)),
    ).toEqual([]);
    expect(reports.filter((report: Report) => report.metadata.namespace === NAMESPACE).length).toBeGreaterThan(14);

    const outputs: Record<string, string> = {
      json: await cluster.kubectl(["get", "pvr,cpvr", "-A", "-o", "json"]),
      yaml: await cluster.kubectl(["get", "pvr", "-A", "-o", "yaml"]),
      table: await cluster.kubectl(["get", "pvr", "-A", "-o", "wide"]),
      clusterTable: await cluster.kubectl(["get", "cpvr", "-o", "wide"]),
      describe: await cluster.kubectl(["describe", "pvr", "-A"]),
      pod: await cluster.kubectl(["describe", "pod", "-n", NAMESPACE]),
      events: await cluster.kubectl(["get", "events", "-A"]),
      eventsJson: await cluster.kubectl(["get", "events.events.k8s.io", "-A", "-o", "json"]),
      log: operator.log.map((line) => JSON.stringify(line)).join("\n"),
      stderr: operator.stderr,
    };
    for (const [where, text] of Object.entries(outputs)) {
      expect(text.match(new RegExp(RAW.source, "gu"))?.slice(0, 3) ?? [], where).toEqual([]);
      expect(text.includes(SECRET), `the secret is in ${where}`).toBe(false);
    }
    expect(parseAllDocuments(outputs["yaml"] as string)).toHaveLength(1);
    expect(await operator.stop()).toBe(0);
  });
});
