// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Impersonation in a kubeconfig beyond `as`, which the client library leaves out: sending less than was asked for would
// act with other rights.

/** Headers of every request. */
export type ImpersonationHeaders = Readonly<Record<string, string | string[]>>;

/** Returns the headers for `as-groups`, `as-uid` and `as-user-extra` of a user; a text describes the problem. */
export function impersonationHeaders(user: Readonly<Record<string, unknown>>): ImpersonationHeaders | string {
  const { "as-groups": groups, "as-uid": uid, "as-user-extra": extra } = user;
  const headers: Record<string, string | string[]> = {};
  if (groups !== undefined) {
    if (!isTextList(groups)) return "invalid as-groups: expected a list of names";
    if (groups.length > 0) headers["Impersonate-Group"] = groups;
  }
  if (uid !== undefined) {
    if (typeof uid !== "string") return "invalid as-uid: expected a string";
    if (uid !== "") headers["Impersonate-Uid"] = uid;
  }
  if (extra !== undefined) {
    if (typeof extra !== "object" || extra === null) return "invalid as-user-extra: expected a mapping";
    for (const [key, values] of Object.entries(extra)) {
      if (!isTextList(values)) return `invalid as-user-extra ${key}: expected a list of strings`;
      // As client-go: characters not allowed in the name of a header are percent-encoded.
      headers[`Impersonate-Extra-${escapeHeaderName(key.toLowerCase())}`] = values;
    }
  }
  if (Object.keys(headers).length > 0 && !user["as"])
    return "as-groups, as-uid and as-user-extra need a user to impersonate: set `as`";
  return headers;
}

function escapeHeaderName(key: string): string {
  // A name of a header has no parentheses, which a URL may have.
  return encodeURIComponent(key).replaceAll("(", "%28").replaceAll(")", "%29");
}

function isTextList(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}
