// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Makes a folder with its parents. Node's own `recursive` never ends where a parent exists and takes no new entry but
// says ENOENT, as /proc does (Node 24.21), and a program in it hears no signal.
// Invariant: each folder of the path is tried at most three times.

import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";

/** Creates the folder and its missing parents; an existing one is fine. Rejects with Node's error. */
export async function makeFolder(path: string): Promise<void> {
  const above = dirname(path);
  if ((await tryToMake(path)) || above === path) return;
  await makeFolder(above);
  if (!(await tryToMake(path))) await mkdir(path);
}

/** Returns true if the path exists now; false where a parent is missing. */
async function tryToMake(path: string): Promise<boolean> {
  try {
    await mkdir(path);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") return true;
    if (code === "ENOENT") return false;
    throw error;
  }
}
