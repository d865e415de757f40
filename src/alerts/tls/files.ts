// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Owns certificates in files: mounted Secrets, or KubeArmor's own folder.
// Invariant: reads at most MAX_FILE_BYTES of each file, and reads anew at each call.

import { type FileHandle, open } from "node:fs/promises";
import type { PemText } from "./material.ts";
import type { TlsPlace, TlsReading } from "./mode.ts";

/** Paths of PEM files. */
export interface TlsFilePaths {
  ca: string;
  certificate: string;
  privateKey: string;
}

/** A Secret can't be larger. */
const MAX_FILE_BYTES = 1024 * 1024;

const REASONS: Record<string, string> = {
  ENOENT: "does not exist: mount it there, or set feed.relay.tls.files",
  EACCES: "may not be read: give this program's user the right to",
  EISDIR: "is a folder",
};

/** The place of certificates that are files. */
export function tlsFiles(paths: TlsFilePaths): TlsPlace {
  return { name: paths.certificate, read: () => readAll(paths) };
}

async function readAll(paths: TlsFilePaths): Promise<TlsReading> {
  const ca = await readPem(paths.ca);
  const certificate = await readPem(paths.certificate);
  const privateKey = await readPem(paths.privateKey);
  for (const one of [ca, certificate, privateKey]) {
    if (typeof one === "string") return { kind: "unusable", message: one };
  }
  return { kind: "found", ca, certificate, privateKey } as TlsReading;
}

/** The bytes, or what is wrong with the file. */
async function readPem(path: string): Promise<PemText | string> {
  let file: FileHandle | undefined;
  try {
    file = await open(path);
    const buffer = Buffer.alloc(MAX_FILE_BYTES + 1);
    const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
    if (bytesRead > MAX_FILE_BYTES)
      return `${path} is larger than ${MAX_FILE_BYTES} bytes: that is no certificate`;
    return { name: path, bytes: buffer.subarray(0, bytesRead) };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "";
    return `${path} ${REASONS[code] ?? `can't be read: ${code || String(error)}`}`;
  } finally {
    await file?.close();
  }
}
