// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer as createHttps } from "node:https";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { KubeClient } from "../../../src/kube/client.ts";
import { loadKubeConfig } from "../../../src/kube/kubeconfig.ts";
import { encodeAltNames, forServers, issueCertificate } from "../../support/certificates.ts";
import { FakeClock } from "../../support/fake-clock.ts";

const TLS = issueCertificate({ subject: "api", extensions: [encodeAltNames("api.example"), forServers] });

async function listen(server: ReturnType<typeof createServer>): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
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

test.each(["socks5", "socks5h"])(
  "the API server is reached through a %s proxy, by its name",
  async (scheme) => {
    const directory = mkdtempSync(join(tmpdir(), "pvo-socks-"));
    const asked: string[] = [];
    const server = createHttps({ cert: TLS.pem, key: TLS.keyPem }, (_request, response) =>
      response.end("{}"),
    );
    const port = await listen(server);
    const proxy = createServer((socket) => void serveSocks(socket, port, asked));
    const path = join(directory, "config");
    writeFileSync(
      path,
      JSON.stringify({
        "current-context": "c",
        contexts: [{ name: "c", context: { cluster: "c", user: "u" } }],
        users: [{ name: "u", user: { token: "t" } }],
        clusters: [
          {
            name: "c",
            cluster: {
              server: "https://api.example:6443",
              "certificate-authority-data": Buffer.from(TLS.pem).toString("base64"),
              "proxy-url": `${scheme}://127.0.0.1:${await listen(proxy)}`,
            },
          },
        ],
      }),
    );
    const kubeConfig = loadKubeConfig({ path, env: {} });
    const client = new KubeClient({ kubeConfig, version: "1.2.3", clock: new FakeClock() });
    try {
      expect(await client.request({ method: "GET", path: "/api/v1/pods" })).toEqual({});
      expect(asked).toEqual(["api.example"]);
    } finally {
      await client.close();
      server.closeAllConnections();
      server.close();
      proxy.close();
      rmSync(directory, { recursive: true });
    }
  },
);
