// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Credentials of the connection to NATS, from the Secret. What no server could accept is found before one is asked.

import { type Authenticator, type ConnectionOptions, credsAuthenticator } from "@nats-io/transport-node";
import { getErrorMessage } from "../../lib/error-message.ts";
import { BusError, type NatsSecret } from "./bus.ts";

const KEYS = ["nats.creds", "user", "token"] as const;

/** Options of the client. Throws a BusError that names the key. */
export function toCredentials(secret: NatsSecret): ConnectionOptions {
  const { "nats.creds": credentials, user, password, token } = secret;
  for (const key of KEYS) if (secret[key]?.trim() === "") throw new BusError(`scale.nats.secretPath: ${key} is empty`);
  if (password !== undefined && user === undefined) throw new BusError("scale.nats.secretPath: password has no user");
  return {
    ...(credentials !== undefined && { authenticator: createAuthenticator(credentials) }),
    ...(user !== undefined && { user, pass: password ?? "" }),
    ...(token !== undefined && { token }),
  };
}

/** Keys of the Secret that are shown to the server, for messages. */
export function listCredentials(secret: NatsSecret): string {
  return KEYS.filter((key) => secret[key] !== undefined).join(", ") || "none";
}

function createAuthenticator(credentials: string): Authenticator {
  // The client reads no Windows line breaks.
  const authenticator = credsAuthenticator(new TextEncoder().encode(credentials.replaceAll("\r\n", "\n")));
  try {
    authenticator("signed once to see that it can be");
  } catch (error) {
    const reason = getErrorMessage(error);
    throw new BusError(`scale.nats.secretPath: nats.creds holds no JWT and NKEY seed of a user: ${reason}`, {
      cause: error,
    });
  }
  return authenticator;
}
