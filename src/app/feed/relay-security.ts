// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Chooses the security of connections to the relay from the settings: the certificate store and the mode.
// Invariant: no logic beyond the choice that `feed.relay.tls.mode` demands.

import { getHost } from "../../alerts/secured-stream.ts";
import { createFileStore } from "../../alerts/tls/files.ts";
import { type ChooseSecurity, plaintext, preferTls, requireTls } from "../../alerts/tls/mode.ts";
import { createSecretStore } from "../../alerts/tls/tls-secret.ts";
import type { Config } from "../../config/config.ts";
import type { KubeClient } from "../../kube/client.ts";
import { readSecret } from "../../kube/secret.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Logger } from "../../lib/logger.ts";

/** Returns the choice for each connection; `onExpiry` gets the expiry of the certificates in use. */
export function createRelaySecurity(
  config: Pick<Config, "feed" | "leaderElection">,
  client: Pick<KubeClient, "request">,
  clock: Clock,
  logger: Logger,
  onExpiry: (expiresMs: number | undefined) => void = () => {},
): ChooseSecurity {
  const choose = chooseByMode(config, client, clock);
  let logged: string | undefined;
  return async (signal) => {
    const security = await choose(signal);
    if (security.kind !== "refused") onExpiry(security.kind === "tls" ? security.material.expiresMs : undefined);
    if (security.kind !== "refused" && security.kind !== logged) {
      logged = security.kind;
      logger.info({ mode: config.feed.relay.tls.mode, security: logged }, "relay security chosen");
    }
    return security;
  };
}

function chooseByMode(
  config: Pick<Config, "feed" | "leaderElection">,
  client: Pick<KubeClient, "request">,
  clock: Clock,
): ChooseSecurity {
  const { feed, leaderElection } = config;
  const { relay } = feed;
  const { mode, files, secret } = relay.tls;
  if (mode === "off") return plaintext;
  if (mode === "files") return requireTls(createFileStore(files), clock);
  const store = createSecretStore(
    { ...secret, namespace: secret.namespace || findServiceNamespace(relay.address, leaderElection.leaseNamespace) },
    (name, signal) => readSecret(client, name, signal),
  );
  return mode === "auto" ? preferTls(store, clock) : requireTls(store, clock);
}

/** `service.namespace`, `service.namespace.svc` or longer; the chart reads it by the same rule (`pvo.relay`). */
const SERVICE = /^[a-z0-9-]*[a-z][a-z0-9-]*\.([a-z0-9-]+)(?:\.svc(?:\..+)?)?$/;

/** The namespace of the relay's Service: our own for a bare name, KubeArmor's own for an address that is not a Service's. */
function findServiceNamespace(address: string, ownNamespace: string): string {
  const host = getHost(address);
  if (/^[a-z]([a-z0-9-]*[a-z0-9])?$/.test(host)) return ownNamespace;
  return SERVICE.exec(host)?.[1] ?? "kubearmor";
}
