// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer as createHttp } from "node:http";
import { createServer as createHttps } from "node:https";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { KubeClient } from "../../../src/kube/client.ts";
import { loadKubeConfig } from "../../../src/kube/kubeconfig.ts";
import { encodeAltNames, forServers, issueCertificate } from "../../support/certificates.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { createFolder } from "../../support/folder.ts";
import { catchApiError } from "../../support/kube-clients.ts";

const TLS = issueCertificate({ subject: "api", extensions: [encodeAltNames("api.example"), forServers] });

const ends: (() => unknown)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function listen(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  ends.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

/** Serves one SOCKS5 connection (RFC 1928, no authentication) and leads it to `port`, for any target. */
async function serveSocks(socket: Socket, port: number, asked: string[]): Promise<void> {
  await once(socket, "data");
  socket.write(Buffer.from([5, 0]));
  const [request] = (await once(socket, "data")) as [Buffer];
  asked.push(request.toString("latin1", 5, 5 + (request[4] ?? 0)));
  const target = connect(port, "127.0.0.1");
  target.on("error", () => socket.destroy());
  socket.on("error", () => target.destroy());
  socket.write(Buffer.from([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]));
  socket.pipe(target).pipe(socket);
}

/** Creates a client of https://api.example:6443 with a proxy. */
function createClient(proxy: string): KubeClient {
  const directory = createFolder();
  const path = join(directory, "config");
  const cluster = {
    server: "https://api.example:6443",
    "certificate-authority-data": Buffer.from(TLS.pem).toString("base64"),
    "proxy-url": proxy,
  };
  writeFileSync(
    path,
    JSON.stringify({
      "current-context": "c",
      contexts: [{ name: "c", context: { cluster: "c", user: "u" } }],
      users: [{ name: "u", user: { token: "t" } }],
      clusters: [{ name: "c", cluster }],
    }),
  );
  const kubeConfig = loadKubeConfig({ path, env: {} });
  const client = new KubeClient({ kubeConfig, version: "1.2.3", clock: new FakeClock() });
  ends.push(() => client.close());
  return client;
}

const GET = { method: "GET", path: "/api/v1/pods" } as const;

test.each(["socks5", "socks5h"])("the API server is reached through a %s proxy, by its name", async (scheme) => {
  const asked: string[] = [];
  const server = createHttps({ cert: TLS.pem, key: TLS.keyPem }, (_request, response) => response.end("{}"));
  const port = await listen(server);
  ends.push(() => server.closeAllConnections());
  const proxy = await listen(createServer((socket) => void serveSocks(socket, port, asked)));
  expect(await createClient(`${scheme}://127.0.0.1:${proxy}`).request(GET)).toEqual({});
  expect(asked).toEqual(["api.example"]);
});

/** Answers CONNECT with 407. */
function refuseHttp(): Server {
  return createHttp().on("connect", (_request, socket: Socket) =>
    socket.end("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"),
  );
}

/** Wants a password. */
function refuseSocks(): Server {
  return createServer((socket) => socket.once("data", () => socket.end(Buffer.from([5, 0xff]))));
}

test.each<[string, string, () => Server, string]>([
  ["an http proxy", "http://user:secret@", refuseHttp, "Proxy response (407)"],
  ["a socks5 proxy", "socks5://", refuseSocks, "No acceptable authentication method"],
])("%s that refuses is named without its password, and nothing is sent", async (_kind, url, refuse, why) => {
  const port = await listen(refuse());
  const error = await catchApiError(createClient(`${url}127.0.0.1:${port}`).request(GET));
  expect(error.code).toBe("Unavailable");
  expect(error.message).toContain(`127.0.0.1:${port}: the proxy refuses: ${why}`);
  expect(error.message).not.toContain("secret");
});

test("a proxy that is not there is named", async () => {
  const port = await listen(createServer());
  await ends.pop()?.();
  const error = await catchApiError(createClient(`http://127.0.0.1:${port}`).request(GET));
  expect(error.code).toBe("Unavailable");
  expect(error.message).toContain(`through the proxy http://127.0.0.1:${port}: ECONNREFUSED`);
});
