// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// TLS of the connection to NATS, from the address and the Secret.

import { isIP } from "node:net";
import { checkServerIdentity, type PeerCertificate } from "node:tls";
import type { TlsOptions } from "@nats-io/transport-node";
import { type PemText, parseAuthorities, parseOwnCertificate, UnusablePem } from "../../lib/pem.ts";
import { BusError, type NatsSecret } from "./bus.ts";

/** Options of a connection that must be secured; undefined where the server decides. The client ignores `tls://`. */
export function toTls(url: string, secret: NatsSecret, nowMs: number): TlsOptions | undefined {
  checkMaterial(secret, nowMs);
  const { "ca.crt": ca, "tls.crt": cert, "tls.key": key } = secret;
  const tls = { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) };
  if (Object.keys(tls).length === 0 && !url.includes("tls://")) return undefined;
  return { ...tls, ...{ checkServerIdentity: createIdentityCheck(url) } };
}

/** Throws a BusError for what no server can be reached with. */
function checkMaterial({ "ca.crt": ca, "tls.crt": cert, "tls.key": key }: NatsSecret, nowMs: number): void {
  try {
    if (ca !== undefined) parseAuthorities(toPem("ca.crt", ca), nowMs);
    if (cert === undefined && key === undefined) return;
    if (cert === undefined || key === undefined)
      throw new UnusablePem(key === undefined ? "tls.crt has no tls.key" : "tls.key has no tls.crt");
    parseOwnCertificate(toPem("tls.crt", cert), toPem("tls.key", key), nowMs);
  } catch (error) {
    if (!(error instanceof UnusablePem)) throw error;
    throw new BusError(`scale.nats.secretPath: ${error.message}`, { cause: error });
  }
}

function toPem(name: string, text: string): PemText {
  return { name, bytes: new TextEncoder().encode(text) };
}

/** The client names no server that is dialed by its IP address, for which Node then takes the name "localhost". */
function createIdentityCheck(url: string): typeof checkServerIdentity {
  const hosts = url.split(",").map((one) => new URL(one.trim()).hostname.replace(/^\[|\]$/g, ""));
  const unnamed = hosts.filter((host) => isIP(host) > 0 || host === "localhost");
  return (name: string, certificate: PeerCertificate) => {
    const candidates = name === "localhost" && unnamed.length > 0 ? unnamed : [name];
    const faults = candidates.map((host) => checkServerIdentity(host, certificate));
    return faults.includes(undefined) ? undefined : faults[0];
  };
}
