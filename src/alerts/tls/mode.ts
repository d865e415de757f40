// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Decides, anew for every connection, whether it is made in plaintext, with mutual TLS, or not at all.
// Invariant: plaintext only where it was asked for, or where a place that was asked says for certain that it holds no
// certificates and has never held any in this process's life.

import type { Clock } from "../../lib/clock.ts";
import { type PemText, readMaterial, type TlsMaterial } from "./material.ts";

/** How one connection is to be made. */
export type Security =
  | { kind: "plaintext" }
  | { kind: "tls"; material: TlsMaterial }
  /** No connection can be made safely; the message says why and what to do. */
  | { kind: "refused"; message: string };

/** Decides for the next connection; rejects for nothing. */
export type ChooseSecurity = (signal: AbortSignal) => Promise<Security>;

/** What a place of certificates said when it was read. */
export type TlsReading =
  | { kind: "found"; ca: PemText; certificate: PemText; privateKey: PemText }
  /** It answered: there is nothing there. */
  | { kind: "absent"; message: string }
  /** Something is there, and certificates it is not. */
  | { kind: "unusable"; message: string }
  /** It answered that it is not for us to know. */
  | { kind: "forbidden"; message: string }
  /** It did not answer: what it said before may still hold. */
  | { kind: "unanswered"; message: string };

/** Where certificates are kept. */
export interface TlsPlace {
  /** For messages: `Secret kubearmor/kubearmor-client-certs`. */
  name: string;
  read(signal: AbortSignal): Promise<TlsReading>;
}

/** Always plaintext. */
export const plaintext: ChooseSecurity = () => Promise.resolve({ kind: "plaintext" });

/** Mutual TLS with the certificates that the place holds at the moment of connecting, and nothing else. */
export function requireTls(place: TlsPlace, clock: Clock): ChooseSecurity {
  const ask = rememberAnswer(place);
  return async (signal) => secured(await ask(signal), clock);
}

/**
 * Mutual TLS where the place holds certificates, plaintext where it says that there are none. Once it held some, their
 * absence no longer means plaintext: KubeArmor's operator deletes its Secrets for a moment when it issues them anew.
 */
export function preferTls(place: TlsPlace, clock: Clock): ChooseSecurity {
  const ask = rememberAnswer(place);
  let wasFound = false;
  return async (signal) => {
    const reading = await ask(signal);
    if (reading.kind === "found" || reading.kind === "unusable") wasFound = true;
    if (reading.kind !== "absent") return secured(reading, clock);
    if (!wasFound) return { kind: "plaintext" };
    return {
      kind: "refused",
      message: `${place.name} is gone, and plaintext is refused after TLS: it will be used again when it is back; if TLS was switched off on purpose, restart this operator`,
    };
  };
}

/** An answer holds until there is another one: an API server that is away is no reason to lose the stream as well. */
function rememberAnswer(place: TlsPlace): (signal: AbortSignal) => Promise<TlsReading> {
  let last: TlsReading | undefined;
  return async (signal) => {
    const reading = await place.read(signal);
    if (reading.kind === "unanswered") return last ?? reading;
    last = reading;
    return reading;
  };
}

function secured(reading: TlsReading, clock: Clock): Security {
  if (reading.kind !== "found") return { kind: "refused", message: reading.message };
  const result = readMaterial(reading, clock.nowMs());
  return "problem" in result
    ? { kind: "refused", message: result.problem }
    : { kind: "tls", material: result.material };
}
