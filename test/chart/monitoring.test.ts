// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The chart's alert rules under promtool, and its dashboard against a real Prometheus that scrapes a real operator,
// which reads a real stream and writes to a real API server.

import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { findClusterObstacle } from "../../tools/cluster/cluster.ts";
import { type Server, startServer, stopServer } from "../../tools/cluster/process.ts";
import { findFreePort } from "../../tools/free-port.ts";
import { readAlerts } from "../../tools/kubearmor-node/alerts.ts";
import { startNode } from "../../tools/kubearmor-node/server.ts";
import { MONITORING_PARTS } from "../../tools/parts/catalog.ts";
import { getPaths, locateParts } from "../../tools/parts/parts.ts";
import { listObjects, renderManifest } from "../../tools/sample-objects.ts";
import { readSampleAlerts, SAMPLES_PATH } from "../../tools/samples.ts";
import { eventually } from "../support/eventually.ts";
import { createFolder } from "../support/folder.ts";
import { OperatorProcess } from "../support/operator.ts";
import { useCluster } from "../support/real-parts.ts";

const FILES = join(import.meta.dirname, "../../charts/policy-violation-operator/files");
const { paths, missing } = getPaths(locateParts(MONITORING_PARTS));

describe.skipIf(missing !== undefined && !process.env["CI"])(`the alert rules (${missing ?? "promtool"})`, () => {
  const promtool = (...args: string[]) => spawnSync(paths.promtool ?? "promtool", args, { encoding: "utf8" });

  test("are accepted", () => {
    const { stdout, stderr, status } = promtool("check", "rules", join(FILES, "alerts.yaml"));
    expect(stderr).toBe("");
    expect(stdout).toContain("SUCCESS: 18 rules found");
    expect(status).toBe(0);
  });

  test("fire when they should and not else", () => {
    const { stdout, stderr, status } = promtool("test", "rules", join(import.meta.dirname, "alerts.test.yaml"));
    expect(stdout + stderr).toContain("SUCCESS");
    expect(status).toBe(0);
  });

  test("are accompanied by stats that show the worst cluster, and the sum over all that write", () => {
    const series = (metric: string, values: Record<string, number>) =>
      Object.entries(values).map(([labels, value]) => ({ series: `${metric}{${labels}}`, values: value }));
    const of = (a: number, standby: number, b: number) => ({
      'cluster="east",instance="a"': a,
      'cluster="east",instance="b"': standby,
      'cluster="west",instance="a"': b,
    });
    const { panels } = JSON.parse(readFileSync(join(FILES, "dashboard.json"), "utf8")) as {
      panels: { title: string; targets?: Target[] }[];
    };
    const expected = { Leader: 1, "Alert stream": 0, Pending: 12, "Reports held": 30 };
    const dir = createFolder();
    const file = join(dir, "stats.json");
    const cases = Object.entries(expected).map(([title, value]) => ({
      expr: panels.find((panel) => panel.title === title)?.targets?.[0]?.expr.replaceAll("$cluster", "east|west"),
      eval_time: "0m",
      exp_samples: [{ labels: "{}", value }],
    }));
    const input = [
      ...series("policy_violation_leader", of(1, 0, 1)),
      ...series("policy_violation_stream_up", of(1, 1, 0)),
      ...series("policy_violation_unwritten_occurrences", of(5, 5, 7)),
      ...series("policy_violation_reports_held", of(10, 10, 20)),
    ];
    writeFileSync(file, JSON.stringify({ tests: [{ input_series: input, promql_expr_test: cases }] }));
    const { stdout, stderr } = promtool("test", "rules", file);
    expect(stdout + stderr).toContain("SUCCESS");
  });

  test("are tried each, firing and silent", () => {
    const names = [...readFileSync(join(FILES, "alerts.yaml"), "utf8").matchAll(/- alert: (\w+)/g)].map(
      ([, name]) => name,
    );
    const tests = readFileSync(join(import.meta.dirname, "alerts.test.yaml"), "utf8");
    for (const name of names) {
      expect(tests).toMatch(new RegExp(`alertname: ${name}\n +eval_time: \\d+m\n +exp_alerts:`));
      // The one that a rejection raises has its silence in the same data: a reason that is over.
      if (name === "PolicyViolationAlertsRejected" || name === "PolicyViolationStreamGaps") continue;
      expect(tests).toContain(`{alertname: ${name}, eval_time:`);
    }
  });
});

interface Target {
  expr: string;
}

const why = missing ?? findClusterObstacle();

describe.skipIf(why !== undefined && !process.env["CI"])(`the dashboard (${why ?? "a real Prometheus"})`, () => {
  const cluster = useCluster({ crds: true });
  let operator: OperatorProcess;
  let prometheus: Prometheus;

  beforeAll(async () => {
    await cluster.apply(renderManifest(listObjects(readSampleAlerts())));
    const node = await startNode({ dropLikeKubeArmor: false });
    operator = new OperatorProcess({
      kubeconfig: cluster.kubeconfigPath,
      relay: node.address,
      env: { PVO_REPORTS_MIN_INTERVAL_MS: "200", PVO_CLUSTER_NAME: "east" },
    });
    await node.waitForClients();
    prometheus = await startPrometheus(await operator.getMetricsAddress());
    node.push(readAlerts(SAMPLES_PATH));
    await operator.waitForReported(26);
    return async () => {
      await stopServer(prometheus.server, 2_000);
      await operator.kill();
      await node.stop();
    };
  });

  test("has data for every query that it asks", async () => {
    const { panels } = JSON.parse(readFileSync(join(FILES, "dashboard.json"), "utf8")) as {
      panels: { title: string; targets?: Target[] }[];
    };
    const queries = panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ title, expr })));
    expect(queries.length).toBeGreaterThan(25);
    for (const { title, expr } of queries) {
      const query = expr
        .replaceAll("$__rate_interval", "20s")
        .replaceAll("$__range", "1m")
        .replaceAll("$cluster", ".*")
        .replaceAll("$resource_namespace", ".*");
      const found = await eventually(`${title}: ${query}`, async () => {
        const rows = await prometheus.query(query);
        return rows.length > 0 && rows;
      });
      expect(found.length, title).toBeGreaterThan(0);
    }
  });

  test("knows the cluster for its variable, and every stat shows a number without any data", async () => {
    const { panels, templating } = JSON.parse(readFileSync(join(FILES, "dashboard.json"), "utf8")) as {
      panels: { type: string; targets?: Target[] }[];
      templating: { list: { name: string }[] };
    };
    expect(templating.list.map(({ name }) => name)).toEqual(["datasource", "cluster", "resource_namespace"]);
    const [info] = await prometheus.query("policy_violation_build_info");
    expect(info?.metric).toMatchObject({ cluster: "east" });
    const stats = panels.filter(({ type }) => type === "stat").flatMap(({ targets = [] }) => targets);
    expect(stats.length).toBeGreaterThan(8);
    for (const { expr } of stats) {
      const query = expr.replaceAll("$__range", "1m").replaceAll("$cluster", "nowhere");
      expect(await prometheus.query(query.replaceAll("$resource_namespace", ".*")), query).toMatchObject([
        { value: [expect.any(Number), "0"] },
      ]);
    }
  });

  test("shows the same numbers as the reports", async () => {
    const sum = async (outcome: string) =>
      Number((await prometheus.query(`sum(policy_violation_occurrences_total{outcome="${outcome}"})`))[0]?.value[1]);
    const { items } = JSON.parse(await cluster.kubectl(["get", "pvr,cpvr", "-A", "-o", "json"])) as {
      items: { summary: { prevented: number; allowed: number; occurrences: number } }[];
    };
    const of = (field: "prevented" | "allowed") => items.reduce((total, { summary }) => total + summary[field], 0);
    expect(of("prevented")).toBeGreaterThan(0);
    expect(of("allowed")).toBeGreaterThan(0);
    await eventually("Prometheus has scraped the last write", async () => {
      return (await sum("Prevented")) === of("prevented") && (await sum("Allowed")) === of("allowed");
    });
  });

  test("shows a namespace, a policy, its severity and its outcome", async () => {
    const [row] = await prometheus.query(
      'policy_violation_occurrences_total{policy="harden-wordpress-pkg-mngr-exec",outcome="Prevented"}',
    );
    expect(row?.metric).toMatchObject({ resource_namespace: "wordpress-mysql", severity: "medium" });
    const found = await prometheus.query('count(policy_violation_occurrences_total{resource_namespace="_cluster"})');
    expect(found).toHaveLength(1);
  });

  test("no alert about the operator's health fires, and none fails to be computed", async () => {
    const { groups } = await eventually("every rule was computed", async () => {
      const rules = await prometheus.rules();
      return rules.groups.every((group) => group.rules.every(({ health }) => health !== "unknown")) && rules;
    });
    const rules = groups.flatMap((group) => group.rules);
    expect(rules).toHaveLength(18);
    expect(rules.filter(({ health }) => health !== "ok")).toEqual([]);
    const [health] = groups.filter(({ name }) => name === "policy-violation-operator");
    // The samples have throttle notices, and lines that are not violations.
    const expected = new Set(["PolicyViolationThrottled", "PolicyViolationAlertsRejected"]);
    expect(
      health?.rules.filter(({ name, state }) => state === "firing" && !expected.has(name)).map(({ name }) => name),
    ).toEqual([]);
  });

  test("no request counts for PolicyViolationNotAllowed in a cluster without OpenReports and KubeArmor's policies", async () => {
    const codes = (await prometheus.query("policy_violation_api_requests_total")).map(({ metric }) => metric["code"]);
    expect(codes).toContain("NotInstalled");
    const rules = readFileSync(join(FILES, "alerts.yaml"), "utf8");
    const refused = /api_requests_total\{code=~"([^"]+)"/.exec(rules)?.[1]?.split("|") ?? [];
    expect(refused).toContain("NotServed");
    expect(codes.filter((code) => refused.includes(code ?? ""))).toEqual([]);
  });
});

interface Row {
  metric: Record<string, string>;
  value: [number, string];
}

interface Rules {
  groups: { name: string; rules: { name: string; state: string; health: string }[] }[];
}

interface Prometheus {
  server: Server;
  dir: string;
  query: (expr: string) => Promise<Row[]>;
  rules: () => Promise<Rules>;
}

/** Starts a Prometheus that scrapes `target` every second and has the chart's rules. */
async function startPrometheus(target: string): Promise<Prometheus> {
  const dir = createFolder();
  const port = await findFreePort();
  const config = {
    global: { scrape_interval: "1s", evaluation_interval: "2s" },
    rule_files: [join(FILES, "alerts.yaml")],
    scrape_configs: [{ job_name: "operator", static_configs: [{ targets: [target] }] }],
  };
  writeFileSync(join(dir, "prometheus.yml"), JSON.stringify(config));
  const url = `http://127.0.0.1:${port}`;
  const server = await startServer({
    file: paths.prometheus ?? "prometheus",
    args: [
      `--config.file=${join(dir, "prometheus.yml")}`,
      `--storage.tsdb.path=${join(dir, "data")}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    logPath: join(dir, "prometheus.log"),
  });
  const get = async <T>(path: string): Promise<T> => {
    const response = await fetch(`${url}/api/v1/${path}`);
    const { status, data, error } = (await response.json()) as { status: string; data: T; error?: string };
    if (status !== "success") throw new Error(`${path}: ${error}`);
    return data;
  };
  await eventually(`Prometheus is ready; ${server.lastLines(5)}`, async () => {
    if (server.hasExited()) throw new Error(server.lastLines());
    return (await fetch(`${url}/-/ready`).catch(() => undefined))?.ok;
  });
  return {
    server,
    dir,
    query: async (expr) => (await get<{ result: Row[] }>(`query?query=${encodeURIComponent(expr)}`)).result,
    rules: () => get<Rules>("rules"),
  };
}
