// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Decides for every connection again: plaintext, mutual TLS, or none.
// Invariant: plaintext only where the configuration demands it, or where the certificate store answers that it has no
// certificates and has had none in this process's life.

import type { Clock } from "../../lib/clock.ts";
import type { PemText } from "../../lib/pem.ts";
import { readMaterial, type TlsMaterial } from "./material.ts";

/** The decision for one connection. */
export type Security =
  | { kind: "plaintext" }
  | { kind: "tls"; material: TlsMaterial }
  /** No connection can be made safely; the message says why and what to do. */
  | { kind: "refused"; message: string };

/** Decides for the next connection; never rejects. */
export type ChooseSecurity = (signal: AbortSignal) => Promise<Security>;

/** The answer of a certificate store. */
export type CertificateReading =
  | { kind: "found"; ca: PemText; certificate: PemText; privateKey: PemText }
  /** Certain: there are no certificates. */
  | { kind: "absent"; message: string }
  /** There is something else than certificates. */
  | { kind: "unusable"; message: string }
  /** Access is denied. */
  | { kind: "forbidden"; message: string }
  /** No answer; the one before may still be right. */
  | { kind: "unanswered"; message: string };

/** Stores our certificate, its key and the authorities. */
export interface CertificateStore {
  /** For messages: `Secret kubearmor/kubearmor-client-certs`. */
  name: string;
  read(signal: AbortSignal): Promise<CertificateReading>;
}

export const plaintext: ChooseSecurity = () => Promise.resolve({ kind: "plaintext" });

/** Demands mutual TLS, with the certificates that the store has at the moment of connecting. */
export function requireTls(store: CertificateStore, clock: Clock): ChooseSecurity {
  const readStore = keepLastAnswer(store);
  return async (signal) => toSecurity(await readStore(signal), clock);
}

/**
 * Chooses mutual TLS where the store has certificates, plaintext where it answers that it has none. Once it had some, their
 * absence no longer means plaintext: KubeArmor's operator deletes its Secrets for a moment when it reissues them.
 */
export function preferTls(store: CertificateStore, clock: Clock): ChooseSecurity {
  const readStore = keepLastAnswer(store);
  let wasFound = false;
  return async (signal) => {
    const reading = await readStore(signal);
    if (reading.kind === "found" || reading.kind === "unusable") wasFound = true;
    if (reading.kind !== "absent") return toSecurity(reading, clock);
    if (!wasFound) return { kind: "plaintext" };
    return {
      kind: "refused",
      message: `${store.name} is gone, and plaintext is refused after TLS: TLS is used again when it is back; if TLS was turned off on purpose, restart this operator`,
    };
  };
}

/** Keeps the last answer while there is no other: the stream must not depend on the API server. */
function keepLastAnswer(store: CertificateStore): (signal: AbortSignal) => Promise<CertificateReading> {
  let last: CertificateReading | undefined;
  return async (signal) => {
    const reading = await store.read(signal);
    if (reading.kind === "unanswered") return last ?? reading;
    last = reading;
    return reading;
  };
}

function toSecurity(reading: CertificateReading, clock: Clock): Security {
  if (reading.kind !== "found") return { kind: "refused", message: reading.message };
  const result = readMaterial(reading, clock.nowMs());
  return "problem" in result
    ? { kind: "refused", message: `feed.relay.tls: ${result.problem}` }
    : { kind: "tls", material: result.material };
}
