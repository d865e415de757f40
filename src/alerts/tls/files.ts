// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Certificates in files: mounted Secrets, or KubeArmor's own folder.
// Invariant: reads the files at each call, at most MAX_FILE_BYTES of each.

import { type FileHandle, open } from "node:fs/promises";
import type { PemText } from "../../lib/pem.ts";
import type { CertificateReading, CertificateStore } from "./mode.ts";

export interface TlsFilePaths {
  ca: string;
  certificate: string;
  privateKey: string;
}

/** A Secret can't be larger. */
const MAX_FILE_BYTES = 1024 * 1024;

const REASONS: Record<string, string> = {
  ENOENT: "does not exist: mount it there, or set feed.relay.tls.files",
  EACCES: "can't be read: give this program's user the permission",
  EISDIR: "is a folder",
};

export function createFileStore(paths: TlsFilePaths): CertificateStore {
  return { name: paths.certificate, read: () => readAll(paths) };
}

async function readAll(paths: TlsFilePaths): Promise<CertificateReading> {
  const ca = await readPem(paths.ca);
  const certificate = await readPem(paths.certificate);
  const privateKey = await readPem(paths.privateKey);
  for (const one of [ca, certificate, privateKey]) {
    if (typeof one === "string") return { kind: "unusable", message: one };
  }
  return { kind: "found", ca, certificate, privateKey } as CertificateReading;
}

/** Returns the bytes, or the problem with the file. */
async function readPem(path: string): Promise<PemText | string> {
  let file: FileHandle | undefined;
  try {
    file = await open(path);
    const buffer = Buffer.alloc(MAX_FILE_BYTES + 1);
    const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
    if (bytesRead > MAX_FILE_BYTES) return `${path} is larger than ${MAX_FILE_BYTES} bytes: a certificate is smaller`;
    return { name: path, bytes: buffer.subarray(0, bytesRead) };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "";
    return `${path} ${REASONS[code] ?? `can't be read: ${code || String(error)}`}`;
  } finally {
    await file?.close();
  }
}
