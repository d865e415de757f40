// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Certificates in a Secret.
// Invariant: the Secret counts as absent only where the API server answers that it does not exist.

import type { PemText } from "../../lib/pem.ts";
import type { CertificateReading, CertificateStore } from "./mode.ts";

/** Name of a Secret, and the keys of its three texts. */
export interface TlsSecretOptions {
  namespace: string;
  name: string;
  caKey: string;
  certificateKey: string;
  privateKeyKey: string;
}

/** Port of the API client's reader of Secrets. */
export type ReadSecret = (
  name: { namespace: string; name: string },
  signal: AbortSignal,
) => Promise<
  | { kind: "found"; data: ReadonlyMap<string, Uint8Array> }
  | { kind: "absent" }
  | { kind: "forbidden" | "unanswered"; message: string }
>;

export function createSecretStore(options: TlsSecretOptions, readSecret: ReadSecret): CertificateStore {
  const { namespace, name } = options;
  const place = `Secret ${namespace}/${name}`;
  return {
    name: place,
    async read(signal): Promise<CertificateReading> {
      const secret = await readSecret({ namespace, name }, signal);
      switch (secret.kind) {
        case "found":
          return selectKeys(options, place, secret.data);
        case "absent":
          return {
            kind: "absent",
            message: `${place} does not exist: turn on KubeArmor's TLS, name another in feed.relay.tls.secret, or set feed.relay.tls.mode`,
          };
        case "forbidden":
          return {
            kind: "forbidden",
            message: `access to ${place} is denied, so it is unknown whether KubeArmor uses TLS: allow get on it (the chart's rbac.create), or set feed.relay.tls.mode to off or files`,
          };
        case "unanswered":
          return {
            kind: "unanswered",
            message: `${place} can't be read, so it is unknown whether KubeArmor uses TLS: ${secret.message}`,
          };
      }
    },
  };
}

function selectKeys(
  options: TlsSecretOptions,
  place: string,
  data: ReadonlyMap<string, Uint8Array>,
): CertificateReading {
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
