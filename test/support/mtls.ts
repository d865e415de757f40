// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Certificates as KubeArmor makes them, and a relay with mutual TLS in Go (tools/parts/mtls-relay) before a node.
// Invariant: no relay outlives the process that runs it; keys are made for each run and kept in temporary folders.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { removeAtOurEnd, type Server, startServer, stopServer } from "../../tools/cluster/process.ts";
import { ensureParts, getPaths, locateParts } from "../../tools/parts/parts.ts";
import { eventually } from "./eventually.ts";

const PART = "mtls-relay";

/** A certificate and its key, as PEM. */
export interface Pair {
  cert: string;
  key: string;
}

/** Request for a certificate; see tools/parts/mtls-relay/issue.go. Hours are from now on. */
export interface CertificateSpec {
  name: string;
  /** The name of an earlier one; absent: itself. */
  issuer?: string;
  commonName?: string;
  organization?: string;
  isCA?: boolean;
  dns?: readonly string[];
  ips?: readonly string[];
  usage?: "server" | "client";
  fromHours?: number;
  toHours?: number;
  signedByLostKey?: boolean;
}

const YEAR = 365 * 24;
/** KubeArmor/cert/certs.go: of its operator's certificates, all have this subject, and the serial number 1. */
const OPERATOR_SUBJECT = { commonName: "kubearmor", organization: "kubearmor", toHours: YEAR };

/** The SANs of pkg/KubeArmorOperator/cert/certgen.go, and this machine's, which the operator takes as extra ones. */
const RELAY_NAMES = {
  dns: ["kubearmor.kubearmor", "kubearmor.kubearmor.svc", "kubearmor.kubearmor.svc.cluster.local", "localhost"],
  ips: ["127.0.0.1"],
};

/** The three certificates of KubeArmor's operator; the names of the later ones begin with `prefix`. */
export function createOperatorSpecs(prefix = ""): CertificateSpec[] {
  return [
    { ...OPERATOR_SUBJECT, name: `${prefix}ca`, isCA: true, signedByLostKey: true },
    { ...OPERATOR_SUBJECT, name: `${prefix}server`, issuer: `${prefix}ca`, usage: "server", ...RELAY_NAMES },
    { ...OPERATOR_SUBJECT, name: `${prefix}client`, issuer: `${prefix}ca`, usage: "client" },
  ];
}

/** A daemon's certificate, made by it at its start, as loadTLSCredentials in KubeArmor's feeder does. Its name is the IP. */
export function createDaemonSpec(ip: string, authority = "", prefix = authority): CertificateSpec {
  return { ...OPERATOR_SUBJECT, name: `${prefix}${ip}`, issuer: `${authority}ca`, usage: "server", ips: [ip] };
}

/** The three of KubeArmor's Helm chart (genCA and genSignedCert of sprig). */
export function createHelmSpecs(prefix: string): CertificateSpec[] {
  const leaf = { commonName: "kubearmor-relay", issuer: `${prefix}ca`, toHours: 3 * YEAR };
  return [
    { name: `${prefix}ca`, commonName: "kubearmor", isCA: true, toHours: 3 * YEAR },
    { ...leaf, name: `${prefix}server`, ...RELAY_NAMES },
    { ...leaf, name: `${prefix}client` },
  ];
}

/** Gets the Go program; returns why it can't be had, or undefined. Takes seconds the first time. */
export async function findMtlsRelayObstacle(): Promise<string | undefined> {
  return getPaths(await ensureParts({ names: [PART] })).missing;
}

function locateProgram(): string {
  const { paths, missing } = getPaths(locateParts([PART]));
  const path = paths[PART];
  if (path === undefined) throw new Error(missing);
  return path;
}

/** Makes the certificates with crypto/x509, as KubeArmor does. */
export function issue<const S extends readonly CertificateSpec[]>(specs: S): Record<string, Pair> {
  const { status, stdout, stderr } = spawnSync(locateProgram(), ["issue"], {
    input: JSON.stringify(specs),
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`mtls-relay issue: ${stderr}`);
  return JSON.parse(stdout) as Record<string, Pair>;
}

/** A relay of the test. */
export interface MtlsRelay {
  /** The same through all its starts. */
  readonly address: string;
  /** Ends it as a kill does, and starts it again: with these certificates, or in plaintext. */
  readonly restart: (tls: RelayCertificates | undefined) => Promise<void>;
  readonly stop: () => Promise<void>;
}

export interface RelayCertificates {
  ca: string;
  server: Pair;
}

/** Starts a relay that hands every call on to the server at `backend`; without certificates in plaintext. */
export async function startMtlsRelay(backend: string, tls: RelayCertificates | undefined): Promise<MtlsRelay> {
  const dir = mkdtempSync(join(tmpdir(), "pvo-mtls-"));
  const keepDir = removeAtOurEnd(dir);
  let server = await serve(dir, backend, "127.0.0.1:0", tls, 0);
  const address = await waitUntilListening(server, 0);
  let starts = 1;
  return {
    address,
    async restart(next) {
      await stopServer(server, 0);
      server = await serve(dir, backend, address, next, starts);
      await waitUntilListening(server, starts);
      starts += 1;
    },
    async stop() {
      await stopServer(server, 0);
      rmSync(dir, { recursive: true, force: true });
      keepDir();
    },
  };
}

async function serve(
  dir: string,
  backend: string,
  listen: string,
  tls: RelayCertificates | undefined,
  start: number,
): Promise<Server> {
  if (tls !== undefined) {
    writeFileSync(join(dir, "ca.crt"), tls.ca);
    writeFileSync(join(dir, "server.crt"), tls.server.cert);
    writeFileSync(join(dir, "server.key"), tls.server.key, { mode: 0o600 });
  }
  return await startServer({
    file: locateProgram(),
    args: ["serve", "-listen", listen, "-backend", backend, ...(tls === undefined ? [] : ["-dir", dir])],
    logPath: join(dir, `relay-${start}.log`),
  });
}

async function waitUntilListening(server: Server, start: number): Promise<string> {
  return await eventually(`the relay's start ${start}`, () => {
    if (server.hasExited()) throw new Error(`the relay ended: ${server.lastLines()}`);
    return /"listening":"([^"]+)"/.exec(readFileSync(server.logPath, "utf8"))?.[1];
  });
}
