// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Owns what a Secret with certificates must hold.
// Invariant: only a certain answer that there is no Secret counts as its absence.

import type { PemText } from "./material.ts";
import type { TlsPlace, TlsReading } from "./mode.ts";

/** Which Secret, and under which keys the three texts are in it. */
export interface TlsSecretOptions {
  namespace: string;
  name: string;
  caKey: string;
  certificateKey: string;
  privateKeyKey: string;
}

/** Reads a Secret; the shape that the API client's reader has. */
export type ReadSecret = (
  name: { namespace: string; name: string },
  signal: AbortSignal,
) => Promise<
  | { kind: "found"; data: ReadonlyMap<string, Uint8Array> }
  | { kind: "absent" }
  | { kind: "forbidden" | "unanswered"; message: string }
>;

/** The place of certificates that are in a Secret. */
export function tlsSecret(options: TlsSecretOptions, readSecret: ReadSecret): TlsPlace {
  const { namespace, name } = options;
  const place = `Secret ${namespace}/${name}`;
  return {
    name: place,
    async read(signal): Promise<TlsReading> {
      const secret = await readSecret({ namespace, name }, signal);
      switch (secret.kind) {
        case "found":
          return found(options, place, secret.data);
        case "absent":
          return {
            kind: "absent",
            message: `${place} does not exist: switch KubeArmor's TLS on, name another in feed.relay.tls.secret, or set feed.relay.tls.mode`,
          };
        case "forbidden":
          return {
            kind: "forbidden",
            message: `whether the relay uses TLS can't be told, because ${place} may not be read: allow get on it (the chart's rbac.create), or set feed.relay.tls.mode to off or files`,
          };
        case "unanswered":
          return {
            kind: "unanswered",
            message: `${place} can't be read, so it is not known how to connect: ${secret.message}`,
          };
      }
    },
  };
}

function found(options: TlsSecretOptions, place: string, data: ReadonlyMap<string, Uint8Array>): TlsReading {
  const [ca, certificate, privateKey] = [options.caKey, options.certificateKey, options.privateKeyKey].map(
    (key): PemText | undefined => {
      const bytes = data.get(key);
      return bytes === undefined ? undefined : { name: `${key} of ${place}`, bytes };
    },
  );
  if (ca && certificate && privateKey) return { kind: "found", ca, certificate, privateKey };
  const missing = !ca ? options.caKey : !certificate ? options.certificateKey : options.privateKeyKey;
  const there = [...data.keys()].sort().join(", ") || "nothing";
  return {
    kind: "unusable",
    message: `${place} has no key ${missing} (it has ${there}): name the keys in feed.relay.tls.secret`,
  };
}
