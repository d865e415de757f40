// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { KubeConfigError, loadKubeConfig } from "../../../src/kube/kubeconfig.ts";
import { createFolder } from "../../support/folder.ts";

let directory: string;

beforeEach(() => void (directory = createFolder()));

function write(name: string, text: string): string {
  const path = join(directory, name);
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, text);
  return path;
}

function renderKubeconfig(parts: { server?: string; user?: string; context?: string; extra?: string } = {}): string {
  return `apiVersion: v1
kind: Config
current-context: ${parts.context ?? "dev"}
clusters:
- name: one
  cluster: {server: "${parts.server ?? "https://one.example:6443/"}", certificate-authority: ca.crt}
contexts:
- name: dev
  context: {cluster: one, user: alice, namespace: shop}
users:
- name: alice
  user: ${parts.user ?? "{token: secret-token}"}
${parts.extra ?? ""}`;
}

function catchMessage(load: () => unknown): string {
  try {
    load();
  } catch (error) {
    expect(error).toBeInstanceOf(KubeConfigError);
    return (error as Error).message;
  }
  throw new Error("nothing was thrown");
}

function createServiceAccount(): string {
  write("sa/token", "pod-token");
  write("sa/ca.crt", "CA");
  write("sa/namespace", "kubearmor\n");
  return join(directory, "sa");
}

const POD = { KUBERNETES_SERVICE_HOST: "10.96.0.1", KUBERNETES_SERVICE_PORT: "443" };

describe("which one", () => {
  test("--kubeconfig goes before all others", () => {
    const path = write("a", renderKubeconfig());
    const loaded = loadKubeConfig({
      path,
      env: { ...POD, KUBECONFIG: "/nowhere", HOME: directory },
      serviceAccountDir: createServiceAccount(),
    });
    expect(loaded.server).toBe("https://one.example:6443");
    expect(loaded).toMatchObject({ source: `--kubeconfig ${path}`, namespace: "shop" });
  });

  test("$KUBECONFIG goes before the pod's ServiceAccount", () => {
    const path = write("a", renderKubeconfig());
    const loaded = loadKubeConfig({ env: { ...POD, KUBECONFIG: path }, serviceAccountDir: createServiceAccount() });
    expect(loaded.server).toBe("https://one.example:6443");
  });

  test("of the files of $KUBECONFIG the first that says a thing counts, and one that is not there is passed over", () => {
    const first = write("a", "current-context: dev\nusers: [{name: alice, user: {token: first}}]\n");
    const second = write("b", renderKubeconfig({ context: "other" }));
    const loaded = loadKubeConfig({ env: { KUBECONFIG: `${first}:${directory}/missing:${second}` } });
    expect(loaded.config.getCurrentUser()?.token).toBe("first");
    expect(loaded.config.getCurrentContext()).toBe("dev");
  });

  test("a pod's ServiceAccount goes before ~/.kube/config", () => {
    write(".kube/config", renderKubeconfig());
    const accountDir = createServiceAccount();
    const loaded = loadKubeConfig({ env: { ...POD, HOME: directory }, serviceAccountDir: accountDir });
    expect(loaded).toMatchObject({ server: "https://10.96.0.1:443", source: "in-cluster", namespace: "kubearmor" });
    expect(loaded.config.getCurrentCluster()?.caFile).toBe(join(accountDir, "ca.crt"));
    expect(loaded.config.getCurrentUser()?.authProvider).toEqual({
      name: "tokenFile",
      config: { tokenFile: join(accountDir, "token") },
    });
  });

  test("an IPv6 service address gets its brackets", () => {
    const env = { KUBERNETES_SERVICE_HOST: "fd00::1", KUBERNETES_SERVICE_PORT: "6443" };
    expect(loadKubeConfig({ env, serviceAccountDir: createServiceAccount() }).server).toBe("https://[fd00::1]:6443");
  });

  test("a pod without a token falls back to ~/.kube/config", () => {
    const path = write(".kube/config", renderKubeconfig());
    const loaded = loadKubeConfig({ env: { ...POD, HOME: directory }, serviceAccountDir: join(directory, "none") });
    expect(loaded.source).toBe(path);
  });

  test("none at all says where it looked", () => {
    const message = catchMessage(() =>
      loadKubeConfig({ env: { HOME: directory }, serviceAccountDir: "/none/serviceaccount" }),
    );
    expect(message).toBe(
      "no kubeconfig: $KUBECONFIG is not set, this is not a pod with a ServiceAccount token " +
        `(/none/serviceaccount/token), and ${directory}/.kube/config does not exist; pass --kubeconfig FILE`,
    );
  });
});

describe("what the client library overlooks", () => {
  test("paths are taken from the kubeconfig's folder", () => {
    const path = write("a", renderKubeconfig({ user: "{client-certificate: c.crt, client-key: /abs/c.key}" }));
    const { config } = loadKubeConfig({ path, env: {} });
    expect(config.getCurrentCluster()?.caFile).toBe(join(directory, "ca.crt"));
    expect(config.getCurrentUser()).toMatchObject({ certFile: join(directory, "c.crt"), keyFile: "/abs/c.key" });
  });

  test("certificates in the kubeconfig itself win over files", async () => {
    const encode = (text: string) => Buffer.from(text).toString("base64");
    const user = `{client-certificate: c, client-certificate-data: ${encode("C")}, client-key: k, client-key-data: ${encode("K")}}`;
    const text = renderKubeconfig({ user }).replace("ca.crt}", `ca.crt, certificate-authority-data: ${encode("CA")}}`);
    const options: { ca?: unknown; cert?: unknown; key?: unknown } = {};
    await loadKubeConfig({ path: write("a", text), env: {} }).config.applyToHTTPSOptions(options);
    expect([options.ca, options.cert, options.key].map(String)).toEqual(["CA", "C", "K"]);
  });

  test("tokenFile is read again and again, and wins over token", () => {
    const path = write("a", renderKubeconfig({ user: "{tokenFile: t, token: old}" }));
    const user = loadKubeConfig({ path, env: {} }).config.getCurrentUser();
    expect(user?.token).toBeUndefined();
    expect(user?.authProvider).toEqual({ name: "tokenFile", config: { tokenFile: join(directory, "t") } });
  });

  test("a context without a user still has the cluster's CA", async () => {
    write("ca.crt", "CA BYTES");
    const path = write("a", renderKubeconfig().replace(", user: alice", ""));
    const options: { ca?: unknown } = {};
    await loadKubeConfig({ path, env: {} }).config.applyToHTTPSOptions(options);
    expect(String(options.ca)).toBe("CA BYTES");
  });

  /** Loads a kubeconfig with a plugin that keeps the variable; returns the headers and what it was given. */
  async function runPlugin(exec: string, cluster = ""): Promise<{ headers: unknown; info: unknown }> {
    const script =
      '#!/bin/sh\nprintf %s "$KUBERNETES_EXEC_INFO" > "$(dirname "$0")/info"\necho \'{"status": {"token": "t"}}\'\n';
    chmodSync(write("plugin", script), 0o755);
    const user = `{exec: {apiVersion: client.authentication.k8s.io/v1, command: ./plugin${exec}}}`;
    const path = write("a", renderKubeconfig({ user }).replace("ca.crt}", `ca.crt${cluster}}`));
    const options: { headers?: Record<string, string> } = {};
    await loadKubeConfig({ path, env: {} }).config.applyToHTTPSOptions(options);
    return { headers: options.headers, info: JSON.parse(readFileSync(join(directory, "info"), "utf8")) };
  }

  test("an exec plugin is run, with the variable it may insist on", async () => {
    write("ca.crt", "CA");
    expect(await runPlugin("")).toEqual({
      headers: { Authorization: "Bearer t" },
      info: { apiVersion: "client.authentication.k8s.io/v1", kind: "ExecCredential", spec: { interactive: false } },
    });
  });

  test("an exec plugin with provideClusterInfo is given the cluster", async () => {
    write("ca.crt", "CA");
    const extension = "{name: client.authentication.k8s.io/exec, extension: {audience: a}}";
    const { info } = await runPlugin(
      ", provideClusterInfo: true",
      `, tls-server-name: api, extensions: [{name: other, extension: 1}, ${extension}]`,
    );
    expect(info).toMatchObject({
      spec: {
        interactive: false,
        cluster: {
          server: "https://one.example:6443/",
          "tls-server-name": "api",
          "certificate-authority-data": Buffer.from("CA").toString("base64"),
          config: { audience: "a" },
        },
      },
    });
    expect(JSON.stringify(info)).not.toContain("proxy-url");
  });

  test("an exec plugin is given the authority's bytes of the kubeconfig as they are", async () => {
    const { info } = await runPlugin(
      ", provideClusterInfo: true",
      `, certificate-authority-data: ${Buffer.from("INLINE").toString("base64")}, insecure-skip-tls-verify: true`,
    );
    expect(info).toMatchObject({
      spec: {
        cluster: {
          "certificate-authority-data": Buffer.from("INLINE").toString("base64"),
          "insecure-skip-tls-verify": true,
        },
      },
    });
  });

  test("a certificate authority that an exec plugin needs and that is not there is named", () => {
    const user = "{exec: {apiVersion: v1, command: x, provideClusterInfo: true}}";
    const path = write("a", renderKubeconfig({ user }));
    expect(catchMessage(() => loadKubeConfig({ path, env: {} }))).toBe(
      `--kubeconfig ${path}: cannot read certificate-authority ${join(directory, "ca.crt")}: there is no such file`,
    );
  });

  test("plain http is taken as it is", async () => {
    write("ca.crt", "CA");
    const path = write("a", renderKubeconfig({ server: "http://127.0.0.1:8001" }));
    const { config, server } = loadKubeConfig({ path, env: {} });
    await config.applyToHTTPSOptions({});
    expect(server).toBe("http://127.0.0.1:8001");
  });
});

describe("impersonation", () => {
  test("beyond the user becomes headers", () => {
    const user =
      "{as: bob, as-groups: [dev, ops], as-uid: '7', as-user-extra: {Example.com/Team: [blue], 'a(b)': [c]}, token: t}";
    const { headers } = loadKubeConfig({ path: write("a", renderKubeconfig({ user })), env: {} });
    expect(headers).toEqual({
      "Impersonate-Group": ["dev", "ops"],
      "Impersonate-Uid": "7",
      "Impersonate-Extra-example.com%2Fteam": ["blue"],
      "Impersonate-Extra-a%28b%29": ["c"],
    });
  });

  test.each([
    ["{as-groups: [dev]}", "as-groups, as-uid and as-user-extra need a user to impersonate: set `as`"],
    ["{as: bob, as-groups: dev}", "invalid as-groups: expected a list of names"],
    ["{as: bob, as-uid: 7}", "invalid as-uid: expected a string"],
    ["{as: bob, as-user-extra: {a: b}}", "invalid as-user-extra a: expected a list of strings"],
  ])("as %s is refused", (user, message) => {
    const path = write("a", renderKubeconfig({ user }));
    expect(catchMessage(() => loadKubeConfig({ path, env: {} }))).toContain(message);
  });
});

test("an empty file in $KUBECONFIG is passed over", () => {
  const paths = [write("empty", ""), write("comment", "# nothing\n"), write("a", renderKubeconfig())];
  const { server } = loadKubeConfig({ env: { KUBECONFIG: paths.join(":") } });
  expect(server).toBe("https://one.example:6443");
});

describe("the proxy", () => {
  const findProxy = (env: Record<string, string>, server?: string) =>
    loadKubeConfig({ path: write("a", renderKubeconfig(server === undefined ? {} : { server })), env }).proxy;

  test("is that of the cluster, else that of the environment", () => {
    const text = renderKubeconfig().replace("certificate-authority:", "proxy-url: http://p:1, certificate-authority:");
    const env = { HTTPS_PROXY: "http://q:2" };
    expect(loadKubeConfig({ path: write("b", text), env }).proxy).toBe("http://p:1");
    expect(findProxy(env)).toBe("http://q:2");
    expect(findProxy({ https_proxy: "q:3" })).toBe("http://q:3");
    expect(findProxy({ HTTP_PROXY: "http://q:2" })).toBeUndefined();
    expect(findProxy({ HTTP_PROXY: "http://q:2" }, "http://one.example")).toBe("http://q:2");
  });

  test.each([
    ["https://10.96.0.1:443", "10.96.0.0/12", true],
    ["https://10.96.0.1:443", "10.0.0.0/33,10.112.0.0/12", false],
    ["https://[fd00::1]", "fd00::/8", true],
    ["https://one.example:6443", "example", true],
    ["https://one.example:6443", ".example", true],
    ["https://one.example:6443", "*.example", true],
    ["https://one.example:6443", "one.example:6443", true],
    ["https://one.example:6443", "one.example:443", false],
    ["https://one.example:6443", "done.example, xample", false],
    ["https://one.example:6443", "*", true],
    ["https://127.0.0.1:6443", "", true],
    ["https://localhost:6443", "", true],
  ])("of the environment for %s with NO_PROXY %s: direct is %s", (server, noProxy, isDirect) => {
    const proxy = findProxy({ HTTPS_PROXY: "http://q:2", NO_PROXY: noProxy }, server);
    expect(proxy === undefined).toBe(isDirect);
  });

  test("of another scheme is refused, also in the environment", () => {
    const path = write("a", renderKubeconfig());
    const message = catchMessage(() => loadKubeConfig({ path, env: { HTTPS_PROXY: "socks4://p:1080" } }));
    expect(message).toContain("the proxy socks4:// is not supported");
  });
});

const SERVERLESS = renderKubeconfig().replace(/clusters:[\s\S]*contexts:/, "clusters: 7\ncontexts:");
const SOCKS = "proxy-url: socks4://127.0.0.1:1080, certificate-authority:";
const replaceIn = (from: string, to: string) => renderKubeconfig().replace(from, to);

const BROKEN: [title: string, text: string, message: string][] = [
  [
    "no current-context",
    renderKubeconfig({ context: '""' }),
    "no current-context is set (contexts: dev); choose one with",
  ],
  [
    "a context that is not there",
    renderKubeconfig({ context: "prod" }),
    "the current-context prod is not among the contexts (dev); choose one with kubectl config use-context NAME",
  ],
  [
    "a missing cluster",
    replaceIn("cluster: one", "cluster: two"),
    'context dev names the cluster "two", which is not defined',
  ],
  ["a missing user", replaceIn("user: alice", "user: bob"), 'context dev names the user "bob", which is not defined'],
  ["no server", renderKubeconfig({ server: "" }), "clusters[0].cluster.server is missing"],
  ["no scheme", renderKubeconfig({ server: "one:6443" }), 'the cluster\'s server "one:6443" is not an http'],
  [
    "a SOCKS 4 proxy",
    replaceIn("certificate-authority:", SOCKS),
    "the proxy socks4:// is not supported (proxy-url, or HTTPS_PROXY in the environment); use an http, https or socks5 proxy",
  ],
  ["no mapping", "just text", "this is not a kubeconfig (a mapping with clusters, users and contexts)"],
  ["an empty file alone", "", "no current-context is set (contexts: none)"],
  ["a list that is a number", SERVERLESS, "clusters must be a list"],
];

test.each(BROKEN)("a kubeconfig that can't be used is named: %s", (_title, text, expected) => {
  const path = write("broken", text);
  const message = catchMessage(() => loadKubeConfig({ path, env: {} }));
  expect(message).toContain(expected);
  expect(message).toContain(path);
});

test("broken YAML is reported with its line and without its text", () => {
  const path = write("broken", 'users:\n- name: a\n  user: {token: "very-secret\n');
  const message = catchMessage(() => loadKubeConfig({ path, env: {} }));
  expect(message).toMatch(/broken: line 4 is not YAML \([A-Z_]+\); is it a kubeconfig\?$/);
  expect(message).not.toContain("secret");
});

test("a file that is not there is named", () => {
  expect(catchMessage(() => loadKubeConfig({ path: "/no/such/file", env: {} }))).toBe(
    "cannot read the kubeconfig /no/such/file: there is no such file; pass --kubeconfig FILE",
  );
  expect(catchMessage(() => loadKubeConfig({ env: { KUBECONFIG: "/no/such/file" } }))).toContain("/no/such/file");
});

test("a directory is named", () => {
  expect(catchMessage(() => loadKubeConfig({ path: directory, env: {} }))).toContain("it is a directory");
});

describe("a context that is asked for", () => {
  const OTHER = `- name: other
  user: {token: other-token}
`;

  test("goes before the current one of the files", async () => {
    const path = write(
      "a",
      renderKubeconfig({ extra: OTHER }).replace(
        "users:",
        "- name: prod\n  context: {cluster: one, user: other, namespace: live}\nusers:",
      ),
    );
    expect(loadKubeConfig({ path, env: {} }).namespace).toBe("shop");
    const chosen = loadKubeConfig({ path, context: "prod", env: {} });
    expect(chosen.namespace).toBe("live");
    expect(chosen.config.getCurrentUser()?.token).toBe("other-token");
  });

  test("must be there, and a pod's own account has none", () => {
    const path = write("a", renderKubeconfig());
    expect(catchMessage(() => loadKubeConfig({ path, context: "prod", env: {} }))).toBe(
      `--kubeconfig ${path}: there is no context "prod" (contexts: dev)`,
    );
    const env = { KUBERNETES_SERVICE_HOST: "10.0.0.1", HOME: directory };
    expect(
      catchMessage(() => loadKubeConfig({ context: "prod", env, serviceAccountDir: createServiceAccount() })),
    ).toContain("no kubeconfig");
  });
});
