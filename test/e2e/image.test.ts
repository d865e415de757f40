// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The image, as far as it goes without a container builder: that what the Dockerfile copies is there, and that the
// bundle does its work alone, away from the checkout, as it must in an image that holds nothing else.

import { execFile, spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { beforeAll, describe, expect, test } from "vitest";
import { createFolder } from "../support/folder.ts";

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, "../..");
const SAMPLES = join(ROOT, "samples/alerts.jsonl");
const BUNDLE = "policy-violation-operator.cjs";

/** The arguments of an instruction, wherever it stands in a Dockerfile. */
function readDockerfile(name: string): (instruction: string) => string[] {
  const lines = readFileSync(join(ROOT, name), "utf8")
    .replace(/\\\n\s*/g, "")
    .split("\n")
    .filter((line) => /^[A-Z]/.test(line));
  return (instruction) =>
    lines.filter((line) => line.startsWith(`${instruction} `)).map((line) => line.slice(instruction.length + 1));
}

/** Files copied from the checkout. */
function listCopied(of: (instruction: string) => string[]): string[] {
  const paths = of("COPY")
    .filter((line) => !line.startsWith("--from="))
    .flatMap((line) => line.split(" ").slice(0, -1));
  return [...new Set(paths)].sort();
}

describe("the Dockerfile", () => {
  const of = readDockerfile("Dockerfile");

  test("copies, with the one for Git, what exists and exactly what .dockerignore lets through", () => {
    const copied = [...new Set([...listCopied(of), ...listCopied(readDockerfile("Dockerfile.gitops"))])].sort();
    expect(copied.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
    const [first, ...admitted] = readFileSync(join(ROOT, ".dockerignore"), "utf8")
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"));
    expect(first).toBe("*");
    expect(admitted.map((line) => line.replace(/^!/, "")).sort()).toEqual(copied);
  });

  test("runs the bundle without root, with `run` as the default", () => {
    expect(of("USER")).toEqual(["65532:65532"]);
    expect(of("ENTRYPOINT")).toEqual([`["node", "/app/${BUNDLE}"]`]);
    expect(of("CMD")).toEqual(['["run"]']);
  });

  test("installs without running the packages' scripts", () => {
    expect(of("RUN")).toEqual(["npm ci --ignore-scripts", "npm run bundle"]);
  });
});

describe("the Dockerfile for Git", () => {
  const of = readDockerfile("Dockerfile.gitops");

  test("copies no more than the operator's and the plugin's source, from the same base", () => {
    const operator = readDockerfile("Dockerfile");
    const more = listCopied(of).filter((path) => !listCopied(operator).includes(path));
    expect(more).toEqual(["plugin/build.ts", "plugin/src"]);
    expect(of("ARG")).toContain(operator("ARG").find((line) => line.startsWith("BUILD_IMAGE=")));
  });

  test("runs the plugin without root, where its user has a name", () => {
    expect(of("USER")).toEqual(["65532:65532"]);
    expect(of("ENTRYPOINT")).toEqual(['["kubectl-violations"]']);
    expect(of("RUN").some((line) => /useradd --uid 65532 .*nonroot/.test(line))).toBe(true);
  });
});

describe("the bundle", () => {
  let dir: string;
  /** Runs a program of ours with nothing of this process's environment. */
  const node = (...args: string[]) => run(process.execPath, args, { cwd: dir, env: {} });

  beforeAll(async () => {
    dir = createFolder();
    await run(process.execPath, [join(ROOT, "tools/bundle.ts"), "--out", join(dir, "app")]);
  });

  test("is one file, and one for NATS, with source maps and the licenses of their parts", () => {
    expect(readdirSync(join(dir, "app")).sort()).toEqual([
      "nats-bus.cjs",
      "nats-bus.cjs.map",
      BUNDLE,
      `${BUNDLE}.map`,
      "sbom.cdx.json",
      "third-party-licenses.txt",
    ]);
    expect(statSync(join(dir, "app", BUNDLE)).size).toBeLessThan(2_000_000);
    const licenses = readFileSync(join(dir, "app/third-party-licenses.txt"), "utf8");
    for (const name of ["@kubernetes/client-node", "undici", "zod", "pino"]) {
      expect(licenses).toMatch(new RegExp(`^${name} \\d+\\.\\d+\\.\\d+ \\(`, "m"));
    }
  });

  test("comes with a bill of materials: each package in it with version, license and hash", () => {
    const { components, ...sbom } = JSON.parse(readFileSync(join(dir, "app/sbom.cdx.json"), "utf8")) as {
      components: { name: string; version: string; purl: string; licenses: unknown[]; hashes: { content: string }[] }[];
    };
    expect(sbom).toMatchObject({ bomFormat: "CycloneDX", specVersion: "1.5" });
    const licensed = readFileSync(join(dir, "app/third-party-licenses.txt"), "utf8").match(
      /^\S+ \d+\.\d+\.\d+ \(.+\)$/gm,
    );
    expect(components.map(({ name, version }) => `${name} ${version}`)).toEqual(
      licensed?.map((line) => line.split(" ").slice(0, 2).join(" ")),
    );
    const client = components.find(({ name }) => name === "@kubernetes/client-node");
    expect(client).toMatchObject({
      purl: expect.stringMatching(/^pkg:npm\/%40kubernetes\/client-node@\d+\.\d+\.\d+$/),
      licenses: [{ expression: "Apache-2.0" }],
      hashes: [{ content: expect.stringMatching(/^[0-9a-f]{128}$/) }],
    });
    // Packages outside the bundle are not in the bill.
    const names = components.map(({ name }) => name);
    expect(names).toContain("@grpc/grpc-js");
    for (const name of ["vitest", "protobufjs"]) expect(names).not.toContain(name);
  });

  test("says what it can do", async () => {
    const { stdout } = await node(join(dir, "app", BUNDLE), "--help");
    for (const command of ["run", "replay"]) expect(stdout).toMatch(new RegExp(`^ {2}${command}\\b`, "m"));
  });

  test("reaches the API server through the proxy of a kubeconfig with an exec plugin", async () => {
    const asked = Promise.withResolvers<string>();
    const proxy = createServer((socket) => {
      socket.once("data", (data) => asked.resolve(`${data}`));
      socket.on("error", () => undefined);
    });
    await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
    const { port } = proxy.address() as AddressInfo;
    const credential = { apiVersion: "client.authentication.k8s.io/v1", kind: "ExecCredential" };
    const text = JSON.stringify({ ...credential, status: { token: "t" } });
    const config = {
      "current-context": "c",
      contexts: [{ name: "c", context: { cluster: "c", user: "u" } }],
      clusters: [{ name: "c", cluster: { server: "https://10.9.8.7:6443", "proxy-url": `http://127.0.0.1:${port}` } }],
      users: [{ name: "u", user: { exec: { ...credential, command: "/bin/echo", args: [text] } } }],
    };
    writeFileSync(join(dir, "kubeconfig"), JSON.stringify(config));
    const flags = [
      "--kubeconfig",
      join(dir, "kubeconfig"),
      "--metrics-address",
      "127.0.0.1:0",
      "--health-address",
      "127.0.0.1:0",
    ];
    const operator = spawn(process.execPath, [join(dir, "app", BUNDLE), "run", ...flags], { env: {} });
    try {
      expect(await asked.promise).toMatch(/^CONNECT 10\.9\.8\.7:6443 HTTP\/1\.1\r\n/);
    } finally {
      operator.kill("SIGKILL");
      proxy.close();
    }
  });

  test("replays alerts to the same bytes as the source", async () => {
    await node(join(dir, "app", BUNDLE), "replay", SAMPLES, "--out", join(dir, "bundled"));
    await node(join(ROOT, "src/main.ts"), "replay", SAMPLES, "--out", join(dir, "source"));
    const bundled = readFiles(join(dir, "bundled"));
    expect(Object.keys(bundled).length).toBeGreaterThan(5);
    expect(bundled).toEqual(readFiles(join(dir, "source")));
  });
});

function readFiles(root: string): Record<string, string> {
  const files = readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return Object.fromEntries(
    files.map((file) => {
      const path = join(file.parentPath, file.name);
      return [path.slice(root.length), readFileSync(path, "utf8")];
    }),
  );
}
