// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Forms of a network address in the configuration.
// Invariant: text only; nothing here resolves a name or opens a socket.

import { isIPv4, isIPv6 } from "node:net";

const HOST_LABEL = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/i;

function isHostName(host: string): boolean {
  if (host.length > 253) return false;
  const labels = host.replace(/\.$/, "").split(".");
  // A name that ends in digits only is read as an IPv4 address everywhere, so it must be one.
  if (/^[0-9]+$/.test(labels.at(-1) ?? "")) return isIPv4(host);
  return labels.every((label) => HOST_LABEL.test(label));
}

/**
 * True if `text` is `HOST:PORT` with a DNS name, an IPv4 address or an IPv6 address in brackets. An empty host
 * (`:8080`, all addresses) and port 0 (any free one) make sense for listening only.
 */
export function isHostPort(text: string, use: "dial" | "listen"): boolean {
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*)):([0-9]{1,5})$/.exec(text);
  if (match === null) return false;
  const [, bracketed, plain, digits] = match;
  const port = Number(digits);
  if (port > 65_535 || (port === 0 && use === "dial")) return false;
  if (bracketed !== undefined) return isIPv6(bracketed);
  if (plain === "" || plain === undefined) return use === "listen";
  return isHostName(plain);
}
