// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Configurations go in as a user writes them; what comes out is compared with literals.

import { describe, expect, test } from "vitest";
import { type Config, type ConfigInput, parseConfig } from "../../../src/config/config.ts";
import { type ConfigProblem, formatProblems } from "../../../src/config/config-problem.ts";
import { settings } from "../../../src/config/settings.ts";

const PLACE = { identity: "host-abc12" };

function parse(input: Omit<ConfigInput, "place"> & Partial<Pick<ConfigInput, "place">>) {
  return parseConfig({ place: PLACE, filePath: "pvo.yaml", ...input });
}

function getConfig(input: Parameters<typeof parse>[0]): Config {
  const result = parse(input);
  if ("problems" in result) throw new Error(formatProblems(result.problems));
  return result.config;
}

function getProblems(input: Parameters<typeof parse>[0]): ConfigProblem[] {
  const result = parse(input);
  if ("config" in result) throw new Error("expected problems, got a configuration");
  return result.problems;
}

describe("defaults", () => {
  // documents.test.ts compares the documents with the same facts.
  test("nothing given means the documented defaults", () => {
    const config = getConfig({});
    expect(config.identity).toBe("host-abc12");
    expect(config.leaderElection.leaseNamespace).toBe("kubearmor");
    for (const { path, default: value } of settings) {
      if (value !== undefined) expect(config).toHaveProperty(path, value);
    }
  });

  test("the pod's name and namespace are defaults that any setting overrides", () => {
    const env = { POD_NAME: "pvo-7f-x", POD_NAMESPACE: "security" };
    expect(getConfig({ env }).identity).toBe("pvo-7f-x");
    expect(getConfig({ env }).leaderElection.leaseNamespace).toBe("security");
    expect(getConfig({ env, fileText: "identity: mine" }).identity).toBe("mine");
    expect(getConfig({ place: { identity: "h", namespace: "own" } }).leaderElection.leaseNamespace).toBe("own");
  });

  test("a host name that no identity may have is made one", () => {
    expect(getConfig({ place: { identity: "my host (1)/x" } }).identity).toBe("my-host--1--x");
    expect(getConfig({ place: { identity: "___" } }).identity).toBe("unnamed");
  });

  test("the configuration is frozen to its leaves", () => {
    const config = getConfig({ fileText: "redaction: {names: [pin]}" });
    expect(() => Object.assign(config.reports, { maxBytes: 1 })).toThrow(TypeError);
    expect(() => (config.redaction.names as string[]).push("x")).toThrow(TypeError);
  });

  test.each(["", "\n# nothing\n", "---\n", "reports:\n", "feed:\n  relay:\n"])(
    "an empty file or section: %j",
    (fileText) => {
      expect(getConfig({ fileText }).reports.maxBytes).toBe(262_144);
    },
  );
});

describe("precedence", () => {
  const fileText = "log: {level: warn}\nmetrics: {address: ':1'}\nfeed: {relay: {address: 'file:1'}}\n";
  const env = { PVO_LOG_LEVEL: "error", PVO_METRICS_ADDRESS: ":2" };
  const flags = { "log.level": "debug" };

  test("flag before environment before file before default", () => {
    const config = getConfig({ fileText, env, flags });
    expect(config.log.level).toBe("debug");
    expect(config.metrics.address).toBe(":2");
    expect(config.feed.relay.address).toBe("file:1");
    expect(config.shutdown.graceMs).toBe(20_000);
  });

  test("the source of each value is reported", () => {
    const result = parse({ fileText, env, flags });
    expect("sources" in result && Object.fromEntries(result.sources)).toEqual({
      "log.level": "--log-level",
      "metrics.address": "PVO_METRICS_ADDRESS",
      "feed.relay.address": "pvo.yaml:3",
    });
  });

  test("variables are read as numbers, booleans and lists", () => {
    const config = getConfig({
      env: {
        PVO_REPORTS_MAX_BYTES: "65536",
        PVO_REPORTS_MAX_PODS_PER_VIOLATION: " 3 ",
        PVO_LEADER_ELECTION_ENABLED: "False",
        PVO_SEVERITY_THRESHOLDS_LOW: "2",
        PVO_REDACTION_PATTERNS: '["a{1,2}", "b"]',
        PVO_KUBECONFIG: "/k",
      },
    });
    expect(config.reports).toMatchObject({ maxBytes: 65_536, maxPodsPerViolation: 3 });
    expect(config.leaderElection.enabled).toBe(false);
    expect(config.severity.thresholds.low).toBe(2);
    expect(config.redaction.patterns).toEqual(["a{1,2}", "b"]);
    expect(config.kubeconfig).toBe("/k");
  });

  test("an empty variable counts as not set, and other people's variables are left alone", () => {
    const env = { PVO_LOG_LEVEL: "", PATH: "/bin", PVOX: "1", PVO_CACHE: "/tmp/parts" };
    expect(getConfig({ env }).log.level).toBe("info");
  });

  test("variables that Kubernetes adds for a Service named pvo are left alone", () => {
    const env = {
      PVO_SERVICE_HOST: "10.0.0.7",
      PVO_SERVICE_PORT: "8080",
      PVO_SERVICE_PORT_HTTP: "8080",
      PVO_PORT: "tcp://10.0.0.7:8080",
      PVO_PORT_8080_TCP: "tcp://10.0.0.7:8080",
      PVO_PORT_8080_TCP_ADDR: "10.0.0.7",
      PVO_METRICS_PORT: "tcp://10.0.0.8:8080",
    };
    expect(getConfig({ env }).metrics.address).toBe(":8080");
    expect(getProblems({ env: { PVO_METRICS_PORT: "8080" } })).toHaveLength(1);
  });
});

describe("problems", () => {
  test("all are reported at once, each with path, value, place and expectation", () => {
    const fileText = "reports:\n  maxBytes: lots\n  maxByte: 5\nfeed: relay\nmetrics:\n  address: 8080\nretention: 3";
    const problems = getProblems({
      fileText,
      env: { PVO_LOG_LEVEL: "loud", PVO_REPORT_MAX_BYTES: "secret" },
      flags: { "feed.relay.address": "http://relay:1" },
    });
    expect(formatProblems(problems)).toBe(`The configuration has 8 problems:
  pvo.yaml:3: reports.maxByte: is not a known key; did you mean reports.maxBytes?
  pvo.yaml:4: feed = "relay": must be a mapping; its keys are mode, relay
  pvo.yaml:7: retention: is not a known key
  environment: PVO_REPORT_MAX_BYTES: is not a known variable; did you mean PVO_REPORTS_MAX_BYTES?
  pvo.yaml:2: reports.maxBytes = "lots": must be a size from 32Ki to 1Mi, or a whole number of bytes
  pvo.yaml:6: metrics.address = 8080: must be HOST:PORT or :PORT, such as :8080, 127.0.0.1:8080 or [::1]:8080 (port 0 takes any free one)
  PVO_LOG_LEVEL: log.level = "loud": must be one of debug, info, warn, error
  --relay-address: feed.relay.address = "http://relay:1": must be HOST:PORT without a scheme, such as kubearmor.kubearmor.svc:32767 or [2001:db8::1]:32767
`);
  });

  test("a wrong value is a problem even where a flag overrides it", () => {
    const problems = getProblems({ fileText: "log: {level: loud}", flags: { "log.level": "info" } });
    expect(problems).toEqual([
      { path: "log.level", value: '"loud"', source: "pvo.yaml:1", message: "must be one of debug, info, warn, error" },
    ]);
  });

  test.each([
    [
      "reports: {maxBytes: '65536'}",
      "must be a size from 32Ki to 1Mi, or a whole number of bytes; write it without quotes",
    ],
    [
      "reports: {maxBytes: }",
      "must be a size from 32Ki to 1Mi, or a whole number of bytes; leave the line out for the default",
    ],
    ["reports: {maxBytes: 65536.5}", "must be a size from 32Ki to 1Mi, or a whole number of bytes"],
    ["reports: {maxBytes: .nan}", "must be a size from 32Ki to 1Mi, or a whole number of bytes"],
    ["reports: {maxBytes: .inf}", "must be a size from 32Ki to 1Mi, or a whole number of bytes"],
    ["reports: {firstWriteDelayMs: 1001}", "must be a duration from 0ms to 1s, or a whole number of milliseconds"],
    ["events: {enabled: yes}", "must be true or false"],
    ["redaction: {names: pin}", 'must be a list of names, such as ["a", "b"]'],
    ["redaction: {names: [1]}", "must be a list of names"],
    ["- 1", expect.stringMatching(/^must be a mapping; its keys are kubeconfig, identity, cluster, feed/)],
    ["leaderElection: {leaseNamespace: A_b}", expect.stringMatching(/^must be the name of a namespace/)],
    ["identity: a/b", expect.stringMatching(/^must be a name of at most 253/)],
  ])("%s", (fileText, message) => {
    expect(getProblems({ fileText }).map((problem) => problem.message)).toEqual([message]);
  });

  test("broken YAML is reported with line and column, and flags are checked all the same", () => {
    const problems = getProblems({ fileText: "log:\n  level: [info\n", flags: { "log.level": "loud" } });
    expect(problems.map(({ source }) => source)).toEqual(["pvo.yaml:3:1", "--log-level"]);
    expect(problems[0]?.message).toMatch(/^is not valid YAML: /);
  });

  test.each([
    ["a key twice", "log: {level: info}\nlog: {level: warn}\n", "pvo.yaml:2:1"],
    ["two documents", "log: {level: info}\n---\nlog: {level: warn}\n", "pvo.yaml:2:1"],
    ["an unknown tag", "log: {level: !secret x}\n", "pvo.yaml:1:14"],
  ])("%s is a problem", (_what, fileText, source) => {
    expect(getProblems({ fileText }).map((problem) => problem.source)).toEqual([source]);
  });

  test("anchors work, and an alias bomb is refused", () => {
    expect(getConfig({ fileText: "memory: &m {maxViolations: 500}\nreports: *m\n" }).reports.maxViolations).toBe(500);
    const bomb = [
      "memory: {maxViolations: [&a [1,1,1,1,1,1,1,1,1,1], &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]]}",
      "redaction: {names: [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]}",
    ].join("\n");
    expect(getProblems({ fileText: bomb }).map((problem) => problem.path)).toContain("redaction.names");
  });

  test("a path with dots as one key, or an empty key, is unknown", () => {
    const problems = getProblems({ fileText: "reports.maxBytes: 65536\n'': {log: {level: info}}\n" });
    expect(problems.map(({ path }) => path)).toEqual(["reports.maxBytes", ""]);
    expect(problems[0]?.message).toBe("is not a known key; write sections as nested mappings, not with dots");
  });

  test("a key that would reach the prototype is only an unknown key", () => {
    const problems = getProblems({ fileText: "__proto__: {polluted: 1}\nconstructor: {prototype: 1}\n" });
    expect(problems.map((problem) => problem.path)).toEqual(["__proto__", "constructor"]);
    expect({}).not.toHaveProperty("polluted");
  });
});

describe("what belongs together", () => {
  test.each([
    [
      "reports: {minIntervalMs: 5000, maxIntervalMs: 4999}",
      "reports.maxIntervalMs",
      "must be at least reports.minIntervalMs (5000, pvo.yaml:1): the pace stretches from the one to the other",
    ],
    [
      "leaderElection: {leaseDurationMs: 10000}",
      "leaderElection.leaseDurationMs",
      "must be more than leaderElection.renewDeadlineMs (10000, default): a leader must stop writing before another may take over",
    ],
    [
      "leaderElection: {retryPeriodMs: 9000}",
      "leaderElection.renewDeadlineMs",
      "must be more than 1.2 × leaderElection.retryPeriodMs (9000, pvo.yaml:1): else one failed attempt loses the Lease",
    ],
    [
      "severity: {thresholds: {medium: 8}}",
      "severity.thresholds.high",
      "must be at least severity.thresholds.medium (8, pvo.yaml:1): each name needs at least the severity of the one before",
    ],
    [
      "metrics: {address: ':8081'}",
      "health.address",
      "must differ from metrics.address (:8081, pvo.yaml:1): probes have a port of their own",
    ],
  ])("%s", (fileText, path, message) => {
    expect(getProblems({ fileText })).toMatchObject([{ path, message, source: "pvo.yaml:1" }]);
  });

  test("equal thresholds leave a word out, and 11 means never", () => {
    const fileText = "severity: {thresholds: {low: 1, medium: 7, high: 7, critical: 11}}";
    expect(getConfig({ fileText }).severity.thresholds).toEqual({ low: 1, medium: 7, high: 7, critical: 11 });
  });

  test("a pair with a wrong member is not judged on top", () => {
    expect(getProblems({ fileText: "reports: {minIntervalMs: 99999999}" })).toHaveLength(1);
  });
});

describe("secrets", () => {
  test("values of unknown names and of patterns, and credentials in addresses, are not repeated", () => {
    const problems = getProblems({
      fileText: [
        "token: hunter2",
        "redaction: {patterns: ['hunter2(', 'x*', 'hunter2: [', ok]}",
        "feed: {relay: {address: 'http://me:hunter2@relay:1'}}",
        "metrics: {address: 'me:hunter2@:1'}",
      ].join("\n"),
      env: { PVO_TOKEN: "hunter2", PVO_REDACTION_PATTERNS: "hunter2" },
    });
    expect(problems).toHaveLength(8);
    expect(formatProblems(problems)).not.toContain("hunter2");
    expect(problems.filter(({ path }) => path === "redaction.patterns").map(({ message }) => message)).toEqual([
      "item 1 is not a regular expression: Unterminated group",
      "item 2 matches the empty text, so it would match everywhere",
      "item 3 is not a regular expression: Unterminated character class",
      'must be a list of regular expressions, such as ["a", "b"]',
    ]);
  });

  test("lists and their items are bounded", () => {
    const long = "a".repeat(201);
    const fileText = JSON.stringify({ redaction: { patterns: [long], names: Array(101).fill("a") } });
    expect(getProblems({ fileText }).map(({ message }) => message)).toEqual([
      "item 1 is longer than 200 characters",
      "has 101 items; at most 100 are allowed",
    ]);
  });

  test("a long value is cut", () => {
    const [problem] = getProblems({ flags: { "log.level": "x".repeat(500) } });
    expect(problem?.value).toHaveLength(81);
  });
});
