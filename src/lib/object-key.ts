// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// One text for the namespace and name of an object: as kubectl writes it, neither has a slash, and in the API.

export interface ObjectPath {
  /** Undefined or empty for objects of the whole cluster. */
  namespace?: string | undefined;
  name: string;
}

export function toObjectKey({ namespace, name }: ObjectPath): string {
  return `${namespace ?? ""}/${name}`;
}

export function parseObjectKey(key: string): { namespace: string; name: string } {
  const at = key.indexOf("/");
  return { namespace: key.slice(0, at), name: key.slice(at + 1) };
}

/**
 * Returns the path of an object in the Kubernetes API; without a name that of a collection, and without a namespace that
 * of all of them. `api` is as in `/apis/GROUP/VERSION`.
 */
export function toApiPath(
  api: string,
  plural: string,
  { namespace, name }: { namespace?: string | undefined; name?: string | undefined } = {},
): string {
  const scope = namespace === undefined ? "" : `/namespaces/${encodeURIComponent(namespace)}`;
  return `${api}${scope}/${plural}${name === undefined ? "" : `/${encodeURIComponent(name)}`}`;
}
