// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The settings of several processes that share the work over NATS JetStream.
// Invariant: as in schema.ts.

import { HOUR_MS } from "../../lib/time.ts";
import { path, section, text, toggle, wholeNumber } from "./setting.ts";

const SERVER = /^(?:nats|tls):\/\/[^\s,@/]+$/;

export const scale = section(
  "Several processes: readers (`collect`) that each read a part of the nodes, and owners (`run`) that each write a part of the reports, with NATS JetStream between them. One process is enough for nearly every cluster.",
  {
    enabled: toggle({
      about: "Makes `run` own partitions of the reports and read no alerts itself; readers must run as well.",
      default: false,
    }),
    shards: wholeNumber({
      about: "Parts of the nodes, each read by one reader; at least the number of readers.",
      default: 8,
      min: 1,
      max: 64,
      unit: "shards",
    }),
    partitions: wholeNumber({
      about:
        "Parts of the reports, each written by one owner; at least the number of owners. It is fixed with the stream's creation.",
      default: 8,
      min: 1,
      max: 64,
      unit: "partitions",
    }),
    foldMs: wholeNumber({
      about: "Time for which a reader gathers counts before it publishes them.",
      default: 1000,
      min: 50,
      max: 60_000,
      unit: "ms",
    }),
    nats: section("The NATS server with JetStream, 2.10 or newer.", {
      url: text({
        about: "Its address, or several of one cluster separated by commas. `tls://` demands TLS.",
        default: "nats://nats.nats.svc:4222",
        expects: "nats://HOST:PORT or tls://HOST:PORT, several separated by commas",
        isValid: (value) => value.split(",").every((one) => SERVER.test(one.trim())),
      }),
      secretPath: path(
        {
          about:
            "Directory of a mounted Secret with any of `nats.creds`, `user` and `password`, `token`, `ca.crt`, `tls.crt` and `tls.key`; read at each connection. Empty: no credentials, and the system's authorities.",
          default: "",
        },
        "directory",
      ),
      stream: text({
        about: "Name of the stream; created if missing.",
        default: "policy-violations",
        expects: "a name of letters, digits, '-' and '_'",
        isValid: (value) => /^[A-Za-z0-9_-]{1,100}$/.test(value),
      }),
      subjectPrefix: text({
        about: "Beginning of the stream's subjects; different for each cluster that shares a server.",
        default: "policy-violations",
        expects: "words of letters, digits, '-' and '_', separated by dots",
        isValid: (value) => /^[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*$/.test(value) && value.length <= 200,
      }),
      replicas: wholeNumber({
        about: "Servers that each message is stored on; 1 where there is a single server.",
        default: 3,
        min: 1,
        max: 5,
        unit: "replicas",
      }),
      maxAgeMs: wholeNumber({
        about: "Time for which the stream holds a message: the longest outage of the owners without a loss.",
        default: HOUR_MS,
        min: 60_000,
        max: 7 * 24 * HOUR_MS,
        unit: "ms",
      }),
      maxBytes: wholeNumber({
        about: "Size of the stream; when it is full readers keep their counts until there is room.",
        default: 1_073_741_824,
        min: 16_777_216,
        max: 1_099_511_627_776,
        unit: "bytes",
      }),
    }),
  },
);
