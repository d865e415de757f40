// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The resource of a Network or NetworkFirewall alert in one form for all enforcers: `protocol=tcp port=443
// peer=192.0.2.1`. The forms that KubeArmor writes: KubeArmor/monitor/logUpdate.go, KubeArmor/feeder/policyMatcher.go
// (GetProtocolFromName, GetProtocolFromType), KubeArmor/networkPolicyEnforcer.
// Invariant: the order of tokens in the alert is irrelevant; descriptors and client ports never enter.

import type { Alert } from "../../api/alert.ts";
import { compare } from "../../lib/compare.ts";
import { foldPath } from "./fold.ts";
import type { Identity } from "./violation.ts";

/** First port that Linux assigns to clients (net.ipv4.ip_local_port_range). */
const FIRST_EPHEMERAL_PORT = 32_768;
/** Protocols by name and number; KubeArmor prints IANA's names. */
const PROTOCOLS: ReadonlyMap<string, string> = new Map([
  ["1", "icmp"],
  ["6", "tcp"],
  ["17", "udp"],
  ["58", "icmpv6"],
  ["132", "sctp"],
  ["ipv6-icmp", "icmpv6"],
]);
/** Number 0 of IANA and of IPPROTO_IP: the default of the socket's type. */
const DEFAULT_PROTOCOL: ReadonlySet<string> = new Set(["", "0", "hopopt", "ip"]);
const OF_SOCKET_TYPE: ReadonlyMap<string, string> = new Map([
  ["SOCK_STREAM", "tcp"],
  ["SOCK_DGRAM", "udp"],
]);
const INTERNET: ReadonlySet<string> = new Set(["AF_INET", "AF_INET6"]);
/** Protocols of netlink (linux/netlink.h) by the names that KubeArmor prints: IANA's names of IP protocols. */
const NETLINK: ReadonlyMap<string, string> = new Map([
  ["igmp", "usersock"],
  ["ipv4", "sock_diag"],
  ["tcp", "xfrm"],
  ["igp", "audit"],
  ["pup", "netfilter"],
  ["xnet", "kobject_uevent"],
  ["chaos", "generic"],
  ["prm", "crypto"],
]);
/** Verbs of alerts in which a resource of one word is a protocol (GetProtocolFromName); in others it is a domain. */
const OF_SOCKETS: ReadonlySet<string> = new Set(["socket", "connect", "accept"]);
const PROTOCOL_NAME = /^[a-z0-9][a-z0-9.+/-]*$/i;
/** Protocols that programs use through a socket of another type than SOCK_RAW. */
const TRANSPORTS: ReadonlySet<string> = new Set(["tcp", "udp", "sctp"]);
/** Addresses that limit who can reach a server; any other is the pod's own and changes with it. */
const BIND_ADDRESS = /^(?:0\.0\.0\.0|::1?|127\..+)$/;
/** Tokens that the form below has already, or that change with each call. */
const TAKEN: ReadonlySet<string> = new Set([
  "domain",
  "sa_family",
  "family",
  "type",
  "protocol",
  "port",
  "sin_port",
  "sin6_port",
  "remoteip",
  "sin_addr",
  "sin6_addr",
  "peer",
  "local",
  "fd",
  "sockfd",
  "inode",
]);

/** The name of a service (RFC 6335), as `https`. */
const SERVICE = /^(?=[a-z0-9-]*[a-z])[a-z0-9](?:[a-z0-9-]{0,13}[a-z0-9])?$/;

type Tokens = ReadonlyMap<string, string>;
type Port = number | string;

/** The side of a connection that listens. */
export interface Endpoint {
  protocol?: string;
  port?: number;
}

/** Returns the resource of a Network alert; text without `key=value` tokens is a protocol, or stays as it is. */
export function networkResource(resource: string, verb: string): string {
  if (!resource.includes("=")) {
    const isProtocol = OF_SOCKETS.has(verb) && PROTOCOL_NAME.test(resource);
    return isProtocol ? networkResource(`protocol=${resource}`, verb) : resource;
  }
  const tokens = parseTokens(resource);
  const family = first(tokens, "sa_family", "domain", "family").toUpperCase();
  const isInternet = family === "" || INTERNET.has(family);
  const type = first(tokens, "type").split("|")[0] ?? "";
  return formatTokens([
    ...(isInternet
      ? internetProtocol(tokens, type, family)
      : [["family", family] as const, ["type", type] as const, ["protocol", familyProtocol(tokens, family)] as const]),
    ...toAddress(tokens, verb),
    ...others(tokens, resource),
  ]);
}

export function firewallResource({ Data }: Pick<Alert, "Data">, verb: string): string {
  const tokens = parseTokens(Data);
  const [source, destination] = [toPort(tokens, "sourceport"), toPort(tokens, "destinationport")];
  // The answer of a server passes the firewall in the other direction.
  const isAnswer = isEphemeral(destination) && source !== 0 && !isEphemeral(source);
  const isPeerServer = isAnswer ? verb === "ingress" : verb === "egress";
  return formatTokens([
    ["protocol", plainProtocol(tokens)],
    ["port", portText(isAnswer ? source : destination)],
    ["peer", isPeerServer ? plainAddress(first(tokens, isAnswer ? "sourceip" : "destinationip")) : ""],
    ["quota", first(tokens, "quotalevel").toLowerCase()],
  ]);
}

/** The protocol and port that the resource of a Network or NetworkFirewall violation names. */
export function parseEndpoint({ operation, resource }: Pick<Identity, "operation" | "resource">): Endpoint {
  if (operation !== "Network" && operation !== "NetworkFirewall") return {};
  const tokens = parseTokens(resource);
  if (tokens.has("family")) return {};
  const [protocol, port] = [tokens.get("protocol"), toPort(tokens, "port")];
  return { ...(protocol ? { protocol } : {}), ...(typeof port === "number" && port > 0 ? { port } : {}) };
}

function parseTokens(text: string): Tokens {
  const tokens = new Map<string, string>();
  for (const token of text.split(/\s+/)) {
    const at = token.indexOf("=");
    if (at > 0) tokens.set(token.slice(0, at).toLowerCase(), token.slice(at + 1));
  }
  return tokens;
}

function first(tokens: Tokens, ...keys: string[]): string {
  for (const key of keys) {
    const value = tokens.get(key);
    if (value !== undefined && value !== "") return value;
  }
  return "";
}

function plainProtocol(tokens: Tokens): string {
  const name = first(tokens, "protocol").toLowerCase();
  return DEFAULT_PROTOCOL.has(name) ? "" : (PROTOCOLS.get(name) ?? name);
}

function familyProtocol(tokens: Tokens, family: string): string {
  const name = plainProtocol(tokens);
  return family === "AF_NETLINK" ? (NETLINK.get(name) ?? name) : name;
}

/** A program with a raw socket writes the packets of TCP or UDP itself. */
function internetProtocol(tokens: Tokens, type: string, family: string): (readonly [string, string])[] {
  const protocol = toProtocol(tokens, type, family);
  const isForged = type === "SOCK_RAW" && TRANSPORTS.has(protocol);
  return [
    ["protocol", protocol],
    ["type", isForged ? type : ""],
  ];
}

/** As KubeArmor's policies name protocols (KubeArmor/feeder/policyMatcher.go, fetchProtocol). */
function toProtocol(tokens: Tokens, type: string, family: string): string {
  const named = plainProtocol(tokens);
  if (named !== "") return named;
  const byType = type.toLowerCase().replace(/^sock_/, "");
  const isDefault = family !== "" || tokens.has("protocol");
  return isDefault ? (OF_SOCKET_TYPE.get(type) ?? byType) : byType;
}

function toAddress(tokens: Tokens, verb: string): (readonly [string, string])[] {
  const address = plainAddress(first(tokens, "remoteip", "sin_addr", "sin6_addr", "peer"));
  const port = toPort(tokens, "port", "sin_port", "sin6_port");
  switch (verb) {
    case "connect":
    case "send":
    case "resolve":
      return [
        ["port", portText(port)],
        ["peer", address],
      ];
    case "accept":
      // The system call reports the client's port, the probe the server's (KubeArmor/BPF/system_monitor.c).
      return [["port", tokens.has("port") ? portText(port) : ""]];
    case "bind":
    case "listen":
      return [
        ["port", listeningPort(port)],
        ["local", BIND_ADDRESS.test(address) ? address : first(tokens, "local")],
      ];
    default:
      return [
        ["port", listeningPort(port)],
        ["peer", address],
      ];
  }
}

/** A path, and tokens that later versions of KubeArmor may add. */
function others(tokens: Tokens, resource: string): (readonly [string, string])[] {
  const named = [...tokens].filter(([key]) => !TAKEN.has(key));
  const bare = resource.split(/\s+/).filter((token) => token !== "" && token.indexOf("=") <= 0);
  return [
    ...bare.sort().map((token) => ["", token] as const),
    ...named.map(([key, value]) => [key, value.startsWith("/") ? foldPath(value) : value] as const).sort(byKey),
  ];
}

function byKey([a]: readonly [string, string], [b]: readonly [string, string]): number {
  return compare(a, b);
}

/** The shortest form of an address, without brackets and zone; an IPv4 address in IPv6 notation is that address. */
function plainAddress(text: string): string {
  const address = text.replace(/^\[(.*)\]$/, "$1").replace(/%.*$/, "");
  if (!/^[0-9a-f:.]*:[0-9a-f:.]*$/i.test(address)) return address;
  const url = `http://[${address}]`;
  const shortest = URL.canParse(url) ? new URL(url).hostname.slice(1, -1) : address;
  const [, high, low] = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(shortest) ?? [];
  if (high === undefined || low === undefined) return shortest;
  const bits = Number.parseInt(high, 16) * 65_536 + Number.parseInt(low, 16);
  return [24, 16, 8, 0].map((shift) => (bits >>> shift) & 255).join(".");
}

/** A port is a number, or the name of a service. Returns 0 where there is neither. */
function toPort(tokens: Tokens, ...keys: string[]): Port {
  const text = first(tokens, ...keys).toLowerCase();
  if (SERVICE.test(text)) return text;
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  return port <= 65_535 ? port : 0;
}

function portText(port: Port): string {
  return port === 0 ? "" : String(port);
}

function isEphemeral(port: Port): boolean {
  return typeof port === "number" && port >= FIRST_EPHEMERAL_PORT;
}

function listeningPort(port: Port): string {
  return isEphemeral(port) ? "" : portText(port);
}

function formatTokens(tokens: readonly (readonly [string, string])[]): string {
  return tokens
    .filter(([, value]) => value !== "")
    .map(([key, value]) => (key === "" ? value : `${key}=${value}`))
    .join(" ");
}

/** The domain of a DNS query; "" without one. An address family (`domain=AF_INET`) is not a domain. */
export function queriedDomain(tokens: readonly string[]): string {
  const token = tokens.find((each) => /^domain=./i.test(each) && !/^domain=(?:AF_\w+|\d+)$/i.test(each));
  return token === undefined ? "" : plainDomain(token.slice("domain=".length));
}

/** Top-level domains that are unlikely as the name of a Service. */
const TOP_LEVEL = "com|org|net|io|dev|app|gov|edu|cloud|info|xyz|biz|online";
/** Suffixes that a pod's resolver appends, one after the other (resolv.conf, ndots:5): KubeArmor reports each query. */
const SEARCH_PATH = new RegExp(`(\\.(?:${TOP_LEVEL}))(?:\\.[a-z0-9-]+)?\\.svc\\.cluster\\.local$`);

/** A label that is new at each query: data in hex digits, or a UUID. */
const DRAWN_LABEL = /(?<![a-z0-9])(?=[0-9a-f-]*\d)(?=[0-9a-f-]*[a-f])[0-9a-f]{8,}(?:-?[0-9a-f]){8,}(?![a-z0-9])/g;

/** A domain in lower case without the dot at its end and the resolver's search path; generated labels are folded. */
export function plainDomain(domain: string): string {
  const plain = domain.toLowerCase().replace(/\.$/, "");
  const asked = plain.replace(SEARCH_PATH, "$1").replace(/^(?!.*\.(?:svc|pod)\.)(.+)\.cluster\.local$/, "$1");
  return asked.replace(DRAWN_LABEL, "*");
}
