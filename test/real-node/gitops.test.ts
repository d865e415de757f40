// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The Git export as users get it, on a real node: the image is built from Dockerfile.gitops, the chart's CronJob starts
// it in a pod, and it pushes over HTTPS to a Git server in another pod, with a credential from a Secret. Skipped where the
// machine can't have a node or build the image; the title says what is missing.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { SAMPLE_REPORTS_DIR } from "../../plugin/test/session.ts";
import { bundle } from "../../tools/bundle.ts";
import { removeAtOurEnd, run } from "../../tools/cluster/process.ts";
import { encodeAltNames, issueCertificate } from "../support/certificates.ts";
import { eventually } from "../support/eventually.ts";
import { buildGitopsImage, findGitopsImageObstacle, GITOPS_IMAGE } from "./gitops-image.ts";
import { findNodeObstacle } from "./needs.ts";
import { type RealNode, startRealNode } from "./node.ts";
import { version } from "./operator-image.ts";

const CHART = join(import.meta.dirname, "../../charts/policy-violation-operator");
const NAMESPACE = "kubearmor";
const IN = ["-n", NAMESPACE];
const CRON_JOB = "cronjob/pvo-policy-violation-operator-git-export";
const URL = "https://server.git.svc:8443/audit.git";
const ACCOUNT = { username: "audit", password: "s3cret" };

/** The Git server: its program comes from a ConfigMap, its repository lasts as long as the pod. */
function createGitServer(program: string, tls: Record<string, string>): object[] {
  const namespace = "git";
  const mount = (name: string) => ({ name, mountPath: `/srv/${name}`, readOnly: true });
  return [
    { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "server", namespace }, data: { "server.cjs": program } },
    { apiVersion: "v1", kind: "Secret", metadata: { name: "server", namespace }, stringData: { ...ACCOUNT, ...tls } },
    {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "server", namespace, labels: { app: "server" } },
      spec: {
        terminationGracePeriodSeconds: 0,
        securityContext: { fsGroup: 65532 },
        containers: [
          {
            name: "server",
            image: `${GITOPS_IMAGE}:${version}`,
            imagePullPolicy: "Never",
            command: ["node", "/srv/program/server.cjs", "/tmp", "/srv/secret"],
            readinessProbe: { tcpSocket: { port: 8443 }, periodSeconds: 1 },
            volumeMounts: [mount("program"), mount("secret")],
          },
        ],
        volumes: [
          { name: "program", configMap: { name: "server" } },
          { name: "secret", secret: { secretName: "server" } },
        ],
      },
    },
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "server", namespace },
      spec: { selector: { app: "server" }, ports: [{ port: 8443 }] },
    },
  ];
}

const lacking = [findNodeObstacle(), findGitopsImageObstacle()].filter((why) => why !== undefined).join("; ");
const wanted = process.env["PVO_TEST_NODE"] === "1";
const missing = wanted ? lacking : "it takes minutes: `npm run test:node`";

describe.skipIf(missing !== "")(`the Git export on a real node (${missing || "here"})`, () => {
  let node: RealNode;
  let dir: string;

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), "pvo-gitops-"));
    const keepDir = removeAtOurEnd(dir);
    const images = join(dir, "images");
    try {
      const archive = await buildGitopsImage(images);
      node = await startRealNode();
      await node.importImage(archive);
    } finally {
      // buildah leaves its storage mounted onto itself.
      await run("umount", ["-l", join(images, "storage/overlay")]);
      rmSync(images, { recursive: true, force: true });
    }
    await bundle({ server: "test/real-node/git-pod.ts" }, join(dir, "bundle"));
    const tls = issueCertificate({ subject: "server", extensions: [encodeAltNames("server.git.svc")] });
    await node.kubectl(["create", "namespace", "git"]);
    const program = readFileSync(join(dir, "bundle/server.cjs"), "utf8");
    await apply(createGitServer(program, { "tls.crt": tls.pem, "tls.key": tls.keyPem }));
    await install(tls.pem);
    for (const namespace of readdirSync(SAMPLE_REPORTS_DIR)) {
      if (!["_cluster", "default"].includes(namespace)) await node.kubectl(["create", "namespace", namespace]);
    }
    await node.applyCrds();
    await node.kubectl(["create", "-R", "-f", SAMPLE_REPORTS_DIR]);
    await node.kubectl(["wait", "--for=condition=Ready", "pod/server", "-n", "git", "--timeout=60s"]);
    return async () => {
      await node.stop();
      rmSync(dir, { recursive: true, force: true });
      keepDir();
    };
  }, 1_200_000);

  const apply = (objects: readonly object[]) =>
    node.apply(`${objects.map((object) => JSON.stringify(object)).join("\n---\n")}\n`);

  /** As docs/gitops.md says, in a namespace that admits `restricted` pods alone. */
  async function install(ca: string): Promise<void> {
    await node.kubectl(["create", "namespace", NAMESPACE]);
    await node.kubectl(["label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted"]);
    const files = { "token.txt": `${ACCOUNT.password}\n`, "ca.crt": ca };
    for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, name), text);
    await node.kubectl([
      ...["create", "secret", "generic", "violations-git", ...IN],
      ...[`--from-literal=username=${ACCOUNT.username}`, `--from-file=password=${join(dir, "token.txt")}`],
      `--from-file=${join(dir, "ca.crt")}`,
    ]);
    const values = [
      ...["gitExport.enabled=true", `gitExport.repository=${URL}`, "gitExport.credentialsSecret=violations-git"],
      ...[`gitExport.image.repository=${GITOPS_IMAGE}`, "gitExport.summary=false"],
      // The operator's own image is not needed here.
      "replicas=0",
    ];
    await node.helm(["install", "pvo", CHART, ...IN, ...values.flatMap((value) => ["--set", value])]);
  }

  /** Runs the CronJob's job now; gives what its pod printed, and how it ended. */
  async function runJob(name: string): Promise<{ ended: string; printed: string }> {
    await node.kubectl(["create", "job", name, `--from=${CRON_JOB}`, ...IN]);
    const conditions = 'jsonpath={range .status.conditions[?(@.status=="True")]}{.type} {end}';
    const ended = await eventually(`the job ${name} has ended`, async () => {
      const types = await node.kubectl(["get", "job", name, ...IN, "-o", conditions]);
      return /\b(Complete|Failed)\b/.exec(types)?.[0];
    });
    return { ended, printed: await node.kubectl(["logs", `job/${name}`, ...IN]) };
  }

  /** A fresh clone of what the server has. */
  async function clone(name: string): Promise<string> {
    const bundled = "git -C /tmp/audit.git bundle create --quiet - main | base64";
    const text = await node.kubectl(["exec", "server", "-n", "git", "--", "sh", "-c", bundled]);
    writeFileSync(join(dir, `${name}.bundle`), Buffer.from(text, "base64"));
    const to = join(dir, name);
    execFileSync("git", ["clone", "--quiet", "--branch", "main", join(dir, `${name}.bundle`), to]);
    return to;
  }

  test("a job of the CronJob commits the state: a fresh clone holds it", async () => {
    const { ended, printed } = await runJob("first");
    expect(printed).toMatch(/^main: 23 new, 0 changed, 0 gone, 0 unchanged, commit [0-9a-f]{7,}\.\n$/);
    expect(ended).toBe("Complete");
    const diff = ["-r", SAMPLE_REPORTS_DIR, join(await clone("first"), "violations")];
    expect((await run("diff", diff)).stdout).toBe("");
  });

  test("the second one commits nothing", async () => {
    expect((await runJob("second")).printed).toBe("main: nothing changed, 23 reports.\n");
  });

  test("what changed since is the next commit", async () => {
    await node.kubectl(["delete", "pvr", "-n", "my-ext-secret", "nginx-secret"]);
    expect((await runJob("third")).printed).toMatch(/^main: 0 new, 0 changed, 1 gone, 22 unchanged, commit /);
    const log = execFileSync("git", ["log", "--format=%s"], { cwd: await clone("third"), encoding: "utf8" });
    expect(log.trimEnd().split("\n")).toEqual([
      "Violations: 0 new, 0 changed, 1 gone, 22 unchanged",
      "Violations: 23 new, 0 changed, 0 gone, 0 unchanged",
    ]);
  });

  test("a wrong password fails the job, and the log says what is wrong without telling it", async () => {
    const wrong = Buffer.from("wr0ng").toString("base64");
    await node.kubectl([
      "patch",
      "secret",
      "violations-git",
      ...IN,
      "-p",
      JSON.stringify({ data: { password: wrong } }),
    ]);
    await node.kubectl([
      "patch",
      CRON_JOB,
      ...IN,
      "--type=merge",
      "-p",
      JSON.stringify({ spec: { jobTemplate: { spec: { backoffLimit: 0 } } } }),
    ]);
    const { ended, printed } = await runJob("refused");
    expect(ended).toBe("Failed");
    expect(printed).toContain("the server refused the credentials");
    expect(printed).not.toContain("wr0ng");
  });
});
