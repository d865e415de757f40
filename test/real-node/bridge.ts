// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Runs in the node's namespaces and joins them to the API server outside by unix sockets, which do not care for network
// namespaces: the API server at the node's own address, and the node (kubelet, pods) for the API server's CONNECT.
// Invariant: no network interface joins the node to the machine.

import { createServer as createHttpServer } from "node:http";
import { connect, createServer, type Socket } from "node:net";
import type { Duplex } from "node:stream";

function requireVariable(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
}

function join(one: Duplex, other: Socket): void {
  one.pipe(other).pipe(one);
  const end = () => {
    one.destroy();
    other.destroy();
  };
  for (const socket of [one, other]) socket.on("error", end).on("close", end);
}

const [address, port] = [requireVariable("NODE_ADDRESS"), Number(requireVariable("API_PORT"))];
const [apiSocket, egressSocket] = [requireVariable("API_SOCKET"), requireVariable("EGRESS_SOCKET")];

createServer((client) => join(client, connect(apiSocket))).listen(port, address);

createHttpServer()
  .on("connect", (request, client, head) => {
    const { hostname, port: toPort } = new URL(`http://${request.url}`);
    const target = connect(Number(toPort), hostname.replace(/^\[|\]$/g, ""));
    target.once("connect", () => {
      client.write("HTTP/1.1 200 OK\r\n\r\n");
      target.write(head);
      join(client, target);
    });
    target.once("error", () => client.end("HTTP/1.1 502 Bad Gateway\r\n\r\n"));
    client.on("error", () => target.destroy());
  })
  .listen(egressSocket);
