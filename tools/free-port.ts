// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A port for a program that can't be asked to choose one.

import { type AddressInfo, createServer } from "node:net";

/** Finds a port of 127.0.0.1 that is free at this moment. */
export async function findFreePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
