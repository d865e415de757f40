// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// TLS of the connection to NATS, from the address and the Secret.

import type { TlsOptions } from "@nats-io/transport-node";
import { BusError } from "./bus.ts";
import type { NatsSecret } from "./nats-secret.ts";

/** Options of a connection that must be secured; undefined where the server decides. The client ignores `tls://`. */
export function toTls(
  url: string,
  { "ca.crt": ca, "tls.crt": cert, "tls.key": key }: NatsSecret,
): TlsOptions | undefined {
  if ((cert === undefined) !== (key === undefined))
    throw new BusError(
      `scale.nats.secretPath: ${cert ? "tls.crt has no tls.key" : "tls.key has no tls.crt"}`,
    );
  const tls = { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) };
  return Object.keys(tls).length > 0 || url.includes("tls://") ? tls : undefined;
}
