// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Names of writers. Each is new and holds its account, so that a journal of another cluster is recognized.

import { randomBytes } from "node:crypto";
import { stableHash } from "../lib/hash.ts";

const ACCOUNT = /\.([0-9a-f]{8})-[0-9a-f]{8}$/;

/**
 * Creates a name that no writer had before: a restarted container has its pod's name again, but not its predecessor's
 * sequence numbers. `account`: UID of the ServiceAccount; undefined where there is none.
 */
export function createWriterId(identity: string, account: string | undefined): string {
  const random = randomBytes(4).toString("hex");
  return `${identity}.${account === undefined ? "" : `${toDigits(account)}-`}${random}`;
}

/** False where `writerId` was created for another account than `account`. */
export function isOfAccount(writerId: string, account: string | undefined): boolean {
  const [, digits] = ACCOUNT.exec(writerId) ?? [];
  return digits === undefined || account === undefined || digits === toDigits(account);
}

function toDigits(account: string): string {
  return stableHash(account, 8);
}
