// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Readers of the history that a running operator writes: readiness, the timeline, the gate and the audit, with the real
// kubectl, and lists that are cut.

import { beforeAll, expect, test } from "vitest";
import { renderManifest } from "../../tools/sample-objects.ts";
import { eventually } from "../support/eventually.ts";
import { wireAlert } from "../support/gen.ts";
import { LEADING, useNode, usePlugin } from "../support/operator-bed.ts";
import { installPolicyCrds, policy } from "../support/policies.ts";
import { describeReal, useCluster } from "../support/real-parts.ts";

const DAY_MS = 86_400_000;

const REPORT_WRITES = {
  apiGroups: ["reports.kubearmor.com"],
  apiVersions: ["*"],
  operations: ["CREATE", "UPDATE"],
  resources: ["policyviolationreports"],
};
/** Objects that have the API server refuse every write of a report, or fail in it. */
const FAULTS = {
  "are refused": [
    {
      apiVersion: "admissionregistration.k8s.io/v1",
      kind: "ValidatingAdmissionPolicy",
      metadata: { name: "fault" },
      spec: {
        matchConstraints: { resourceRules: [REPORT_WRITES] },
        validations: [{ expression: "false", message: "no reports here" }],
      },
    },
    {
      apiVersion: "admissionregistration.k8s.io/v1",
      kind: "ValidatingAdmissionPolicyBinding",
      metadata: { name: "fault" },
      spec: { policyName: "fault", validationActions: ["Deny"] },
    },
  ],
  "fail in a webhook that is down": [
    {
      apiVersion: "admissionregistration.k8s.io/v1",
      kind: "ValidatingWebhookConfiguration",
      metadata: { name: "fault" },
      webhooks: [
        {
          name: "fault.example.com",
          admissionReviewVersions: ["v1"],
          sideEffects: "None",
          clientConfig: { url: "https://127.0.0.1:9/" },
          rules: [REPORT_WRITES],
        },
      ],
    },
  ],
};

describeReal("the history of a running operator", () => {
  const cluster = useCluster({ crds: true, namespaces: ["kubearmor"] });
  const bed = useNode(cluster);
  const plugin = usePlugin();

  /** An audited alert of a policy, some time ago. */
  const audited = (PolicyName: string, agoMs: number, file: string) =>
    wireAlert(
      { PodName: "web-1" },
      {
        PolicyName,
        UpdatedTime: new Date(Date.now() - agoMs).toISOString().replace("Z", "000Z"),
        Operation: "File",
        Resource: file,
        Data: "syscall=SYS_OPENAT",
        Action: "Audit",
        Result: "Passed",
      },
    );

  beforeAll(async () => {
    await cluster.apply(
      renderManifest({ namespaces: ["shop"], pods: [{ namespace: "shop", name: "web-1" }], nodes: ["node-1"] }),
    );
    await installPolicyCrds(cluster);
    for (const name of ["quiet", "busy"]) await cluster.apply(policy("KubeArmorPolicy", name, { namespace: "shop" }));
    await bed.start({
      ...LEADING,
      env: { ...LEADING.env, PVO_REPORTS_MAX_INTERVAL_MS: "2000", PVO_REPORTS_MAX_VIOLATIONS: "2" },
    });
    const files = ["/etc/a", "/etc/b", "/etc/c", "/etc/d"];
    bed.node.push([
      // Four days with a violation each, of which two are listed.
      ...files.map((file, i) => audited("quiet", (9 - i) * DAY_MS, file)),
      ...files.map((file, i) => audited("busy", (3 - i) * DAY_MS + 3_600_000, file)),
    ]);
    await eventually("both reports", async () => {
      const format = "jsonpath={.items[*].summary.occurrences}";
      const text = await cluster.kubectl(["get", "pvr", "-n", "shop", "-o", format]);
      return text === "4 4";
    });
  }, 120_000);

  const violations = (...args: string[]) => runViolations("shop", ...args);

  function runViolations(namespace: string, ...args: string[]) {
    return plugin.kubectl(["violations", ...args, "-n", namespace], cluster.kubeconfigPath);
  }

  test("counts each day in the timeline, listed or not", async () => {
    const { stdout } = await violations("timeline");
    const days = stdout.split("\n").flatMap((line) => /(\d+) allowed/.exec(line)?.[1] ?? []);
    expect(days.reduce((sum, day) => sum + Number(day), 0)).toBe(8);
    expect(days.length).toBeGreaterThanOrEqual(7);
    expect(stdout).not.toContain("lie outside");
    const { stdout: week } = await violations("timeline", "--window", "5d");
    expect(week).toContain("4 occurrences lie outside of this time.");
  });

  test("makes a policy ready where it proves that all was quiet, also with a cut list", async () => {
    const quiet = await eventually("a time without a gap", async () => {
      const found = await violations("readiness", "quiet", "--window", "2s");
      return found.code === 0 && found;
    });
    expect(quiet.stdout).toContain("quiet: ready\n");
    // Nothing shows that the stream was read before the operator's start.
    const before = await violations("readiness", "quiet", "--window", "2d");
    expect(before.code).toBe(3);
    expect(before.stdout).toContain("has been read without a gap only since");
    const busy = await violations("readiness", "busy", "--window", "7d");
    expect(busy.code).toBe(1);
    expect(busy.stdout).toContain("blocking would have stopped at least 2 violations");
    // Violations outside the list are of this time, or of before.
    expect((await violations("readiness", "busy", "--window", "36h")).code).toBe(1);
  });

  test("lets the gate pass where it proves that nothing occurred", async () => {
    const gate = (...flags: string[]) => violations("gate", ...flags);
    expect(await gate("--policy", "quiet", "--since", "5d")).toMatchObject({ code: 0 });
    expect(await gate("--policy", "quiet", "--since", "20d")).toMatchObject({ code: 1 });
    const unknown = await gate("--policy", "busy", "--all", "--workload", "nothing");
    expect(unknown.code).toBe(3);
    expect(unknown.stdout).toContain("UNKNOWN: the list of 1 report is cut (shop/busy): 2 violations");
  });

  test.each(Object.entries(FAULTS))(
    "is not an answer while writes of reports %s",
    async (fault, items) => {
      const policy = fault.replaceAll(" ", "-");
      const manifest = JSON.stringify({ apiVersion: "v1", kind: "List", items });
      await eventually("a gate that passes", async () => (await runViolations("default", "gate")).code === 0);
      await cluster.apply(manifest);
      const failing = await eventually("a failure in the Lease", async () => {
        bed.node.push([audited(policy, 0, "/etc/e")]);
        const found = await runViolations("default", "gate");
        return found.code === 3 && found;
      });
      expect(failing.stdout).toContain("UNKNOWN: alerts may be missing since ");
      expect(failing.stdout).toContain("or cannot write its reports");
      await cluster.kubectl(["delete", "-f", "-"], { input: manifest });
      await eventually("a gate that passes", async () => (await runViolations("default", "gate")).code === 0);
      expect((await violations("gate", "--policy", policy)).code).toBe(1);
    },
    120_000,
  );

  test("is not an answer while alerts can't be received", async () => {
    expect(await runViolations("default", "gate")).toMatchObject({ code: 0 });
    await bed.node.stop();
    const gate = await eventually("a gap in the reports", async () => {
      const found = await violations("gate", "--policy", "quiet", "--since", "5d");
      return found.code === 3 && found.stdout.includes("alerts are missing now") && found;
    });
    expect(gate.stdout).toContain("UNKNOWN: alerts are missing now: From ");
    expect(gate.stdout).toContain("the alert stream was down");
    const { code, stdout } = await violations("readiness", "quiet", "--window", "2s");
    expect({ code, stdout }).toEqual({ code: 3, stdout: expect.stringContaining("A gap has not ended.") });
    // The Lease states it where there is no report.
    const empty = await eventually("a gap in the Lease", async () => {
      const found = await runViolations("default", "gate");
      return found.code === 3 && found;
    });
    expect(empty.stdout).toContain("UNKNOWN: alerts may be missing since ");
  });
});
