// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Proxy for the API server, as kubectl finds it: `proxy-url` of the cluster, else the environment
// (https://pkg.go.dev/golang.org/x/net/http/httpproxy).

import { BlockList, isIP } from "node:net";

type Environment = Readonly<Record<string, string | undefined>>;

/** Returns the proxy that the environment names for a server; undefined for a direct connection. */
export function findProxy(server: string, env: Environment): string | undefined {
  const { protocol, hostname, port } = new URL(server);
  const scheme = protocol === "https:" ? "HTTPS" : "HTTP";
  const proxy = env[`${scheme}_PROXY`] || env[`${scheme.toLowerCase()}_proxy`];
  if (!proxy) return undefined;
  const host = hostname.replace(/^\[|\]$/g, "").toLowerCase();
  if (host === "localhost" || isLoopback(host)) return undefined;
  const serverPort = port || (protocol === "https:" ? "443" : "80");
  const excluded = (env["NO_PROXY"] || env["no_proxy"] || "").split(",").map((entry) => entry.trim());
  if (excluded.some((entry) => isExcluded(entry.toLowerCase(), host, serverPort))) return undefined;
  return proxy.includes("://") ? proxy : `http://${proxy}`;
}

function isLoopback(host: string): boolean {
  return host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}

/** `*`, an address, a network (10.0.0.0/8), a domain (with its subdomains), or a domain's subdomains (.svc). */
function isExcluded(entry: string, host: string, serverPort: string): boolean {
  if (entry === "") return false;
  if (entry === "*") return true;
  if (entry.includes("/")) return isInNetwork(entry, host);
  if (isIP(entry)) return entry === host;
  const [, name = "", port] = /^(.*?)(?::(\d+))?$/.exec(entry) ?? [];
  if (port !== undefined && port !== serverPort) return false;
  const domain = name.replace(/^\*/, "");
  return domain.startsWith(".") ? host.endsWith(domain) : host === domain || host.endsWith(`.${domain}`);
}

function isInNetwork(entry: string, host: string): boolean {
  const [network = "", bits = ""] = entry.split("/");
  const family = isIP(host) === 6 ? "ipv6" : "ipv4";
  if (isIP(host) === 0 || isIP(network) !== isIP(host) || !/^\d{1,3}$/.test(bits)) return false;
  if (Number(bits) > (family === "ipv6" ? 128 : 32)) return false;
  const list = new BlockList();
  list.addSubnet(network, Number(bits), family);
  return list.check(host, family);
}
