// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Paths as the kernel reads them, by their text alone: symbolic links are not known here.

const DOT_SEGMENT = /(?:^|[/=\s])\.{1,2}\/|\/\.{1,2}(?:[/\s]|$)/;

export function hasDotSegments(text: string): boolean {
  return text.includes(".") && DOT_SEGMENT.test(text);
}

/**
 * Returns `text` with the segments `.` and `..` of its paths resolved: of the text as one path where it starts with a
 * slash or a dot, else of each `key=/path` in it. A `..` that leads out of a relative path stays.
 */
export function resolveDotSegments(text: string): string {
  if (!hasDotSegments(text)) return text;
  if (/^[/.]/.test(text)) return resolvePath(text);
  return text
    .split(" ")
    .map((token) => {
      const at = token.indexOf("=") + 1;
      return token.slice(0, at) + resolvePath(token.slice(at));
    })
    .join(" ");
}

function resolvePath(path: string): string {
  if (!hasDotSegments(path)) return path;
  const isAbsolute = path.startsWith("/");
  const kept: string[] = [];
  for (const segment of path.split("/")) {
    if (segment === "" || segment === ".") continue;
    const last = kept.at(-1);
    if (segment !== "..") kept.push(segment);
    else if (last !== undefined && last !== "..") kept.pop();
    else if (!isAbsolute) kept.push("..");
  }
  return (isAbsolute ? "/" : "") + kept.join("/");
}
