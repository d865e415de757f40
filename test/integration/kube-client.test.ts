// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The client on a real API server: connections, credentials, and what the errors of a real server come to.

import { appendFileSync, copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import type { ApiError } from "../../src/kube/api-error.ts";
import { type KubeClient, type KubeClientOptions, METADATA_ONLY } from "../../src/kube/client.ts";
import { catchApiError, createKubeClient } from "../support/kube-clients.ts";
import { describeReal, useCluster } from "../support/real-parts.ts";

describeReal("the client on a real API server", () => {
  const cluster = useCluster({ controllerManager: false });
  let clients: KubeClient[] = [];

  afterEach(async () => {
    for (const one of clients) await one.close();
    clients = [];
  });

  function createClient(path = cluster.kubeconfigPath, options: Partial<KubeClientOptions> = {}): KubeClient {
    const created = createKubeClient(path, options);
    clients.push(created);
    return created;
  }

  const NAMESPACES = "/api/v1/namespaces";
  const CONFIG_MAPS = `${NAMESPACES}/default/configmaps`;

  function createConfigMap(name: string, data: Record<string, string> = {}): object {
    return { apiVersion: "v1", kind: "ConfigMap", metadata: { name }, data };
  }

  /** The kubeconfig of the cluster's admin, changed. */
  function writeChangedKubeconfig(name: string, change: (text: string) => string): string {
    const path = join(cluster.dir, name);
    writeFileSync(path, change(readFileSync(cluster.kubeconfigPath, "utf8")));
    return path;
  }

  describe("connections", () => {
    test("200 requests one after the other, failures included, share one", async () => {
      const one = createClient();
      for (let i = 0; i < 100; i++) {
        await one.request({ method: "GET", path: `${NAMESPACES}/default` });
        await catchApiError(one.request({ method: "GET", path: `${NAMESPACES}/nowhere` }));
      }
      expect(one.stats()).toEqual({ requests: 200, connectionsOpened: 1 });
    });

    test("20 at once take 20 at most, and 200 more none", async () => {
      const one = createClient();
      const get = () => one.request({ method: "GET", path: NAMESPACES });
      await Promise.all(Array.from({ length: 20 }, get));
      const { connectionsOpened } = one.stats();
      expect(connectionsOpened).toBeLessThanOrEqual(20);
      for (let i = 0; i < 10; i++) await Promise.all(Array.from({ length: 20 }, get));
      expect(one.stats().connectionsOpened).toBe(connectionsOpened);
    });

    test("are opened again when the CA's bytes change, and not before", async () => {
      const ca = join(cluster.dir, "changing-ca.crt");
      copyFileSync(join(cluster.dir, "certs/apiserver.crt"), ca);
      const path = writeChangedKubeconfig("changing-ca", (text) =>
        text.replace(/"?certificate-authority-data"?: *"?[^",\n]+"?/, `"certificate-authority": "${ca}"`),
      );
      const one = createClient(path);
      const get = () => one.request({ method: "GET", path: `${NAMESPACES}/default` });
      await get();
      await get();
      expect(one.stats().connectionsOpened).toBe(1);
      appendFileSync(ca, "\n");
      await get();
      expect(one.stats().connectionsOpened).toBe(2);
    });
  });

  describe("requests", () => {
    test("create, read, merge and delete", async () => {
      const one = createClient();
      await one.request({ method: "POST", path: CONFIG_MAPS, body: createConfigMap("a", { k: "1" }) });
      const path = `${CONFIG_MAPS}/a`;
      const contentType = "application/merge-patch+json";
      await one.request({ method: "PATCH", path, contentType, body: { data: { l: "2" } } });
      expect(await one.request({ method: "GET", path })).toMatchObject({ data: { k: "1", l: "2" } });
      await one.request({ method: "DELETE", path });
      expect((await catchApiError(one.request({ method: "GET", path }))).code).toBe("NotFound");
    });

    test("for the metadata alone", async () => {
      const one = createClient();
      await one.request({ method: "POST", path: CONFIG_MAPS, body: createConfigMap("meta", { k: "1" }) });
      const object = await one.request<Record<string, unknown>>({
        method: "GET",
        path: `${CONFIG_MAPS}/meta`,
        accept: METADATA_ONLY,
      });
      expect(Object.keys(object).sort()).toEqual(["apiVersion", "kind", "metadata"]);
      expect(object).toMatchObject({ kind: "PartialObjectMetadata", metadata: { name: "meta" } });
    });
  });

  describe("errors of a real server", () => {
    test("an API group that is not there is NotServed", async () => {
      const path = "/apis/nothing.example.com/v1/things";
      expect((await catchApiError(createClient().request({ method: "GET", path }))).code).toBe("NotServed");
      const group = "/apis/apps/v1/things";
      expect((await catchApiError(createClient().request({ method: "GET", path: group }))).code).toBe("NotServed");
    });

    test("a name that is taken, a stale version, a wrong value", async () => {
      const one = createClient();
      const create = () => one.request({ method: "POST", path: CONFIG_MAPS, body: createConfigMap("b") });
      await create();
      expect((await catchApiError(create())).code).toBe("AlreadyExists");
      const stale = { ...createConfigMap("b"), metadata: { name: "b", resourceVersion: "1" } };
      const put = (body: object) => one.request({ method: "PUT", path: `${CONFIG_MAPS}/b`, body });
      expect((await catchApiError(put(stale))).code).toBe("Conflict");
      expect((await catchApiError(put({ ...createConfigMap("b"), data: 7 }))).code).toBe("Invalid");
      const illegal = one.request({ method: "POST", path: CONFIG_MAPS, body: createConfigMap("NO") });
      expect((await catchApiError(illegal)).code).toBe("Invalid");
    });

    test("a namespace that is not there is NamespaceGone, unless it is what was asked for", async () => {
      const path = `${NAMESPACES}/nowhere/configmaps`;
      const create = createClient().request({ method: "POST", path, body: createConfigMap("a") });
      expect((await catchApiError(create)).code).toBe("NamespaceGone");
      expect((await catchApiError(createClient().request({ method: "GET", path: `${NAMESPACES}/nowhere` }))).code).toBe(
        "NotFound",
      );
    });

    test("a verb that RBAC does not allow is Forbidden, and the message names it", async () => {
      const token = await cluster.createServiceAccountToken("default", "nobody");
      const error = await catchApiError(
        createClient(cluster.kubeconfigFor(token)).request({ method: "GET", path: `${CONFIG_MAPS}/a` }),
      );
      expect(error.code).toBe("Forbidden");
      expect(error.message).toContain('User "system:serviceaccount:default:nobody" cannot get resource "configmaps"');
    });

    test("an invalid paging token is refused, and one that is too old is Expired", async () => {
      const query = { limit: 1, continue: "nonsense" };
      expect((await catchApiError(createClient().request({ method: "GET", path: NAMESPACES, query }))).code).toBe(
        "Invalid",
      );
      const old = Buffer.from(JSON.stringify({ v: "meta.k8s.io/v1", rv: 1, start: "default\u0000" }));
      const expired = { limit: 1, continue: old.toString("base64url") };
      const code = await createClient()
        .request({ method: "GET", path: NAMESPACES, query: expired })
        .then(
          () => "answered",
          (error: unknown) => (error as ApiError).code,
        );
      // Until etcd has compacted revision 1 (every five minutes), the token is still good.
      expect(["answered", "Expired"]).toContain(code);
    });
  });

  describe("credentials and addresses", () => {
    test("an invalid token is Unauthorized", async () => {
      const error = await catchApiError(
        createClient(cluster.kubeconfigFor("no-such-token")).request({ method: "GET", path: NAMESPACES }),
      );
      expect(error.code).toBe("Unauthorized");
      expect(error.message).toContain("check the token");
    });

    test("a token file is used, without the line break at its end", async () => {
      const token = await cluster.createServiceAccountToken("default", "reader");
      const file = join(cluster.dir, "token-file");
      writeFileSync(file, `${token}\n`);
      const path = writeChangedKubeconfig("token-file-config", (text) =>
        text.replace(/"?token"?: *"?[^",\n}]+"?/, `"tokenFile": "${file}"`),
      );
      const review = await createClient(path).request<{ status: { userInfo: { username: string } } }>({
        method: "POST",
        path: "/apis/authentication.k8s.io/v1/selfsubjectreviews",
        body: { apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" },
      });
      expect(review.status.userInfo.username).toBe("system:serviceaccount:default:reader");
    });

    test("a user to impersonate is asked for with groups, uid and extra", async () => {
      const as = {
        as: "ann",
        "as-groups": ["dev", "ops"],
        "as-uid": "7",
        "as-user-extra": { "Example.com/Team": ["blue"] },
      };
      const path = writeChangedKubeconfig("impersonating", (text) =>
        text.replace(/"?token"?: *"/, (token) => `${JSON.stringify(as).slice(1, -1)}, ${token}`),
      );
      const review = await createClient(path).request<{ status: { userInfo: unknown } }>({
        method: "POST",
        path: "/apis/authentication.k8s.io/v1/selfsubjectreviews",
        body: { apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" },
      });
      expect(review.status.userInfo).toEqual({
        username: "ann",
        uid: "7",
        groups: ["dev", "ops", "system:authenticated"],
        extra: { "example.com/team": ["blue"] },
      });
    });

    test("a server of another CA is Unavailable, and nothing is sent", async () => {
      const path = writeChangedKubeconfig("no-ca", (text) =>
        text.replace(/"?certificate-authority-data"?: *"?[^",\n]+"?/, '"unused": "x"'),
      );
      const error = await catchApiError(createClient(path).request({ method: "GET", path: NAMESPACES }));
      expect(error.code).toBe("Unavailable");
      expect(error.message).toContain("check certificate-authority");
    });

    test("plain http spoken to the TLS port is refused in the server's own words", async () => {
      const path = writeChangedKubeconfig("http", (text) => text.replace("https://", "http://"));
      const error = await catchApiError(createClient(path).request({ method: "GET", path: NAMESPACES }));
      expect(error.code).toBe("Invalid");
      expect(error.message).toContain("Client sent an HTTP request to an HTTPS server");
    });
  });

  // Last: it takes the API server down.
  describe("a server that is away", () => {
    test("frozen: NotAnswered within the time limit, and served again after that", async () => {
      const one = createClient();
      const create = () =>
        one.request({ method: "POST", path: CONFIG_MAPS, body: createConfigMap("frozen"), timeoutMs: 500 });
      await one.request({ method: "GET", path: NAMESPACES });
      await cluster.freezeApiServer();
      const error = await catchApiError(create());
      cluster.thawApiServer();
      expect(error.code).toBe("NotAnswered");
      expect(error.message).toContain("no answer within 0.5 s; the request may have been carried out");
      const served = createClient();
      await served.request({ method: "GET", path: NAMESPACES });
    });

    test("stopped: Unavailable; started again: served", async () => {
      const one = createClient();
      await one.request({ method: "GET", path: NAMESPACES });
      await cluster.stopApiServer();
      const error = await catchApiError(one.request({ method: "GET", path: NAMESPACES }));
      expect(["Unavailable", "NotAnswered"]).toContain(error.code);
      const again = await catchApiError(one.request({ method: "GET", path: NAMESPACES }));
      expect(again.code).toBe("Unavailable");
      expect(again.message).toContain("is the API server up");
      await cluster.startApiServer();
      await one.request({ method: "GET", path: NAMESPACES });
    });
  });
});
