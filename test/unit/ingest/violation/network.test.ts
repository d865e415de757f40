// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  firewallResource,
  networkResource,
  parseEndpoint,
  plainDomain,
} from "../../../../src/ingest/violation/network.ts";
import { checkAll } from "../../../support/gen.ts";

describe("the resource of a Network alert", () => {
  it.each([
    ["connect", "remoteip=1.2.3.4 port=443 protocol=TCP", "protocol=tcp port=443 peer=1.2.3.4"],
    ["connect", "sa_family=AF_INET sin_port=53 sin_addr=10.0.0.10", "port=53 peer=10.0.0.10"],
    ["connect", "sin_addr=::ffff:10.0.0.10 sa_family=AF_INET6 sin_port=53", "port=53 peer=10.0.0.10"],
    // The peer listens there, however high the port.
    ["connect", "remoteip=1.2.3.4 port=50051 protocol=TCP", "protocol=tcp port=50051 peer=1.2.3.4"],
    ["connect", "protocol=TCP type=SOCK_STREAM", "protocol=tcp"],
    // The probe reports the port of the server, the system call that of the client.
    ["accept", "remoteip=10.1.2.3 port=8080 protocol=TCP", "protocol=tcp port=8080"],
    ["accept", "remoteip=10.1.2.3 port=50051 protocol=TCP", "protocol=tcp port=50051"],
    ["accept", "sa_family=AF_INET sin_port=40123 sin_addr=10.1.2.3", ""],
    ["accept", "sa_family=AF_INET sin_port=123 sin_addr=10.1.2.3", ""],
    ["bind", "sa_family=AF_INET sin_port=8080 sin_addr=0.0.0.0", "port=8080 local=0.0.0.0"],
    ["bind", "sa_family=AF_INET sin_port=8080 sin_addr=10.1.2.3", "port=8080"],
    ["bind", "sa_family=AF_INET sin_port=0 sin_addr=127.0.0.1", "local=127.0.0.1"],
    ["bind", "sa_family=AF_INET sin_port=53 sin_addr=127.0.0.53", "port=53 local=127.0.0.53"],
    ["bind", "sa_family=AF_INET sin_port=40000 sin_addr=::", "local=::"],
    ["socket", "domain=AF_INET type=SOCK_DGRAM|SOCK_NONBLOCK|SOCK_CLOEXEC protocol=0", "protocol=udp"],
    ["socket", "domain=AF_INET6 type=SOCK_STREAM protocol=HOPOPT", "protocol=tcp"],
    ["socket", "protocol=TCP type=SOCK_STREAM", "protocol=tcp"],
    ["socket", "domain=AF_INET type=SOCK_STREAM protocol=TCP", "protocol=tcp"],
    ["socket", "domain=AF_INET6 type=SOCK_RAW protocol=IPv6-ICMP", "protocol=icmpv6"],
    ["socket", "domain=AF_INET type=SOCK_RAW protocol=0", "protocol=raw"],
    ["socket", "type=SOCK_RAW", "protocol=raw"],
    // The program forges the packets.
    ["socket", "domain=AF_INET type=SOCK_RAW protocol=TCP", "protocol=tcp type=SOCK_RAW"],
    ["socket", "domain=AF_INET6 type=SOCK_RAW|SOCK_CLOEXEC protocol=UDP", "protocol=udp type=SOCK_RAW"],
    ["socket", "domain=AF_INET type=SOCK_RAW protocol=ICMP", "protocol=icmp"],
    // BPF-LSM writes protocols without a name of their own as one word.
    ["socket", "IGMP", "protocol=igmp"],
    ["connect", "IPv6-ICMP", "protocol=icmpv6"],
    ["accept", "\ufffd", "\ufffd"],
    ["resolve", "igmp", "igmp"],
    ["socket", "domain=AF_NETLINK type=SOCK_RAW protocol=TCP", "family=AF_NETLINK type=SOCK_RAW protocol=xfrm"],
    ["socket", "domain=AF_PACKET type=SOCK_RAW protocol=768", "family=AF_PACKET type=SOCK_RAW protocol=768"],
    ["socket", "type=SOCK_STREAM", "protocol=stream"],
    ["socket", "domain=AF_NETLINK type=SOCK_RAW|SOCK_CLOEXEC protocol=HOPOPT", "family=AF_NETLINK type=SOCK_RAW"],
    ["socket", "domain=AF_UNIX type=SOCK_STREAM protocol=0", "family=AF_UNIX type=SOCK_STREAM"],
    ["connect", "sun_path=/run/user/1000/bus sa_family=AF_UNIX", "family=AF_UNIX sun_path=/run/user/*/bus"],
    ["", "FD=3 Port=50000 type=SOCK_RAW", "protocol=raw"],
    ["", "port= x=1", "x=1"],
    ["", "a  b=1", "a b=1"],
    ["resolve", "google.com", "google.com"],
    // Addresses have many forms in IPv6.
    ["connect", "remoteip=2001:DB8:0:0::1 port=443 protocol=TCP", "protocol=tcp port=443 peer=2001:db8::1"],
    ["connect", "remoteip=2001:0db8:0000::0001 port=443 protocol=TCP", "protocol=tcp port=443 peer=2001:db8::1"],
    ["connect", "remoteip=[2001:db8::1] port=443 protocol=TCP", "protocol=tcp port=443 peer=2001:db8::1"],
    ["connect", "remoteip=fe80::1%eth0 port=443 protocol=TCP", "protocol=tcp port=443 peer=fe80::1"],
    ["connect", "remoteip=0:0:0:0:0:ffff:a00:a port=53 protocol=TCP", "protocol=tcp port=53 peer=10.0.0.10"],
    ["bind", "sa_family=AF_INET6 sin_port=8080 sin_addr=0:0:0:0:0:0:0:0", "port=8080 local=::"],
    ["connect", "remoteip=1.2.3.4 port=https protocol=TCP", "protocol=tcp port=https peer=1.2.3.4"],
    ["connect", "remoteip=1.2.3.4 port=0443 protocol=TCP", "protocol=tcp port=443 peer=1.2.3.4"],
    ["connect", "remoteip=1.2.3.4 port=443/tcp protocol=TCP", "protocol=tcp peer=1.2.3.4"],
    ["", "", ""],
  ])("of %s %j is %j", (verb, resource, expected) => {
    expect(networkResource(resource, verb)).toBe(expected);
  });

  it("is the same in any order of the tokens, and in its own form", () => {
    const tokens = ["sa_family=AF_INET", "sin_port=53", "sin_addr=10.0.0.10", "fd=7", "protocol=UDP", "x=/proc/7/y"];
    const verbs = fc.constantFrom("connect", "bind", "send", "");
    checkAll(200, [fc.shuffledSubarray(tokens, { minLength: tokens.length }), verbs], (shuffled, verb) => {
      const once = networkResource(shuffled.join(" "), verb);
      expect(once).toBe(networkResource(tokens.join(" "), verb));
      expect(networkResource(once, verb)).toBe(once);
    });
  });
});

describe("the resource of a NetworkFirewall alert", () => {
  const packet = (source: number, destination: number, more = "Protocol=TCP") =>
    `SourceIP=192.0.2.1 SourcePort=${source} DestinationIP=198.51.100.1 DestinationPort=${destination} ${more}`;

  it.each([
    ["ingress", packet(40001, 22), "protocol=tcp port=22"],
    ["ingress", packet(443, 51234), "protocol=tcp port=443 peer=192.0.2.1"],
    ["egress", packet(40001, 443), "protocol=tcp port=443 peer=198.51.100.1"],
    ["egress", packet(8080, 51234), "protocol=tcp port=8080"],
    ["egress", packet(40001, 50051), "protocol=tcp port=50051 peer=198.51.100.1"],
    ["ingress", packet(0, 0, "Protocol=ICMP"), "protocol=icmp"],
    ["ingress", packet(0, 0, "Protocol=Proto-47"), "protocol=proto-47"],
    ["ingress", packet(1, 22, "Protocol=TCP QuotaLevel=pod QuotaLimit=1mbytes"), "protocol=tcp port=22 quota=pod"],
    ["ingress", "", ""],
    [
      "egress",
      "SourceIP=2001:db8::2 SourcePort=40001 DestinationIP=2001:DB8:0::1 DestinationPort=https Protocol=TCP",
      "protocol=tcp port=https peer=2001:db8::1",
    ],
  ])("%s %j is %j", (verb, Data, expected) => {
    expect(firewallResource({ Data }, verb)).toBe(expected);
  });
});

describe("a domain", () => {
  it.each([
    ["WWW.Google.Com", "www.google.com"],
    ["google.com.", "google.com"],
    ["google.com.shop.svc.cluster.local", "google.com"],
    ["google.com.svc.cluster.local", "google.com"],
    ["google.com.cluster.local", "google.com"],
    ["mysql.shop.svc.cluster.local", "mysql.shop.svc.cluster.local"],
    ["mysql-0.mysql.shop.svc.cluster.local", "mysql-0.mysql.shop.svc.cluster.local"],
    ["0123456789abcdef0123.evil.test", "*.evil.test"],
    ["0f8fad5b-d9cb-469f-a165-70867728950e.evil.test", "*.evil.test"],
    ["4.3.2.1.in-addr.arpa", "4.3.2.1.in-addr.arpa"],
    ["", ""],
  ])("%j is %j", (domain, expected) => {
    expect(plainDomain(domain)).toBe(expected);
    expect(plainDomain(expected)).toBe(expected);
  });
});

describe("the endpoint of a violation", () => {
  it.each([
    ["Network", "protocol=tcp port=443 peer=1.2.3.4", { protocol: "tcp", port: 443 }],
    ["NetworkFirewall", "protocol=icmp", { protocol: "icmp" }],
    ["Network", "google.com", {}],
    ["Network", "family=AF_VSOCK type=SOCK_STREAM protocol=tcp", {}],
    ["File", "/x/protocol=tcp port=1", {}],
  ])("%s %j", (operation, resource, expected) => {
    expect(parseEndpoint({ operation, resource })).toEqual(expected);
  });
});
