// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Folds what varies from one run of a program to the next, so that the same activity has the same name.
// Invariant: folding is idempotent; what is folded shows as `*`.

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/gi;
/** Container ids, digests, build ids: 12 hex digits or more with at least one of each kind. */
const LONG_HEX = /(?<![0-9a-z])(?=[0-9a-f]*[0-9])(?=[0-9a-f]*[a-f])[0-9a-f]{12,}(?![0-9a-z])/gi;
const DIGITS_ONLY = /^\d+$/;
/** `socket:[12345]`, `pipe:[12345]`, `anon_inode` numbers. */
const BRACKETED = /\[\d+\]/g;
/** `sh-thd-2512146865`, `go-build123456789`, `session_20381`: a counter or a random number at the end of a name. */
const TRAILING_NUMBER = /\d{5,}(?=\.[a-z]{1,5}$|$)/i;
/** `tmp.Xa91bQ`, `tmpab12cd_8`, `foo.AbC123` as mktemp and Python's tempfile make them. */
const MKTEMP = /^(tmp[._-]?)(?=[a-z0-9_]*[0-9A-Z_])[A-Za-z0-9_]{6,12}$/;
const TEMP_SUFFIX = /\.(?=[A-Za-z0-9]*[0-9A-Z])(?=[A-Za-z0-9]*[A-Za-z])[A-Za-z0-9]{6,10}$/;
/** The folder that Kubernetes' atomic writer makes anew for every update of a mounted Secret or ConfigMap. */
const ATOMIC_WRITER = /^\.\.\d{4}(?:_\d\d){4,5}\.\d+$/;
const TEMP_FOLDERS = new Set(["tmp", "shm"]);

/** Folds a path: `/proc/812/maps` and `/proc/7/maps` both become `/proc/*\/maps`. */
export function foldPath(path: string): string {
  if (!VARIES.test(path)) return path;
  let inTemp = false;
  return path
    .split("/")
    .map((segment) => {
      const folded = foldSegment(segment, inTemp);
      inTemp ||= TEMP_FOLDERS.has(segment);
      return folded;
    })
    .join("/");
}

/** Only a path with a digit, or one under a folder for temporary files, can hold anything to fold. */
const VARIES = /\d|\/(?:tmp|shm)\//;

function foldSegment(segment: string, inTemp: boolean): string {
  if (DIGITS_ONLY.test(segment)) return "*";
  if (ATOMIC_WRITER.test(segment)) return "..*";
  let folded = segment.replace(BRACKETED, "[*]").replace(UUID, "*").replace(LONG_HEX, "*");
  folded = folded.replace(TRAILING_NUMBER, "*");
  if (inTemp) folded = folded.replace(MKTEMP, "$1*").replace(TEMP_SUFFIX, ".*");
  return folded;
}

/**
 * The executable of a command line: `hint` (the process name that the alert gives) where the line begins with it,
 * else the first word. Arguments are no part of a violation; the newest are kept as evidence.
 */
export function foldExecutable(commandLine: string, hint: string): string {
  const line = commandLine.trim();
  if (line === "") return foldPath(hint.trim());
  if (hint !== "" && line.startsWith(hint) && (line.length === hint.length || line[hint.length] === " ")) {
    return foldPath(hint);
  }
  const space = line.indexOf(" ");
  return foldPath(space < 0 ? line : line.slice(0, space));
}
