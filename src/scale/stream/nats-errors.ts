// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Failures of NATS, each by the setting that a person is to change.

import { JetStreamApiError } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { BusError } from "./bus.ts";
import { MIN_MESSAGE_BYTES } from "./stream-settings.ts";

/** JetStream as it is used here came with this version. */
const MIN_VERSION = [2, 10] as const;

/** Throws a BusError for a server that lacks required features. */
export function checkServer({ info }: NatsConnection): void {
  const version = info?.version ?? "";
  const [major = 0, minor = 0] = version.split(".").map(Number);
  if (major < MIN_VERSION[0] || (major === MIN_VERSION[0] && minor < MIN_VERSION[1]))
    throw new BusError(
      `scale.nats.url: the server has version ${version || "unknown"}; needed is ${MIN_VERSION.join(".")} or newer`,
    );
  const maxBytes = info?.max_payload ?? 0;
  if (maxBytes < MIN_MESSAGE_BYTES)
    throw new BusError(
      `scale.nats.url: the server has max_payload ${maxBytes}; needed is ${MIN_MESSAGE_BYTES}, the default, or more`,
    );
  if (info?.jetstream !== true)
    throw new BusError("scale.nats.url: the server has no JetStream: enable it in the server's configuration");
}

/** Error of the client by the setting that it is about. */
export function explain(
  error: unknown,
  { url, stream, usesTls, credentials }: { url: string; stream: string; usesTls: boolean; credentials: string },
): BusError {
  const {
    name = "",
    message = String(error),
    code,
  } = (error ?? {}) as { name?: string; message?: string; code?: unknown };
  const text = `${name} ${message}`;
  if (/server does not support 'tls'/i.test(text))
    return new BusError(
      `scale.nats.url: the server at ${url} has no TLS; scale.nats.secretPath has a certificate, or the address begins with tls://`,
      { cause: error },
    );
  if (/certificate|\btls|ssl|self.signed|PEM/i.test(text))
    return new BusError(`scale.nats.secretPath: no secure connection to ${url}: ${message}`, { cause: error });
  if (/authorization|authentication|nkey|jwt|credential|expired/i.test(text))
    return new BusError(
      `scale.nats.secretPath: the server at ${url} refuses the credentials (${credentials}): ${message}`,
      { cause: error },
    );
  if (/permission/i.test(text))
    return new BusError(`scale.nats.secretPath: the account may not use stream ${stream}: ${message}`, {
      cause: error,
    });
  if (/JetStreamNotEnabled|jetstream not enabled/i.test(text))
    return new BusError(`scale.nats.url: JetStream is not enabled for this account at ${url}`, { cause: error });
  if (/replicas > 1 not supported|no suitable peers|insufficient resources/i.test(text))
    return new BusError(`scale.nats.replicas: ${message}`, { cause: error });
  if (error instanceof JetStreamApiError)
    return new BusError(`scale.nats.stream: ${stream}: ${message} (${code})`, { cause: error });
  // With TLS 1.3 a server refuses a certificate after the handshake, and the client hears nothing of it.
  const hint = usesTls
    ? "; it may demand another certificate than tls.crt of scale.nats.secretPath, or one at all"
    : "";
  return new BusError(`scale.nats.url: no answer from ${url}: ${message}${hint}`, { cause: error });
}
