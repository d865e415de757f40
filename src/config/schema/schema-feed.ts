// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Settings of the source of the alerts.

import { HOUR_MS, MINUTE_MS } from "../../lib/time.ts";
import { isHostPort } from "./address.ts";
import { relayTls } from "./schema-relay-tls.ts";
import { choice, section, text, wholeNumber } from "./setting.ts";

export const feed = section("Source of the alerts.", {
  mode: choice(["relay", "nodes", "auto"], {
    about:
      "The peer: `relay` is KubeArmor's relay; `nodes` is KubeArmor on every node, which needs `list` and `watch` on pods and port 32767 of the nodes; `auto` is nodes where at least one can be reached at the start, else the relay.",
    default: "relay",
  }),
  relay: section("KubeArmor's relay, which gathers the alerts of all nodes.", {
    address: text({
      about: "Address of KubeArmor's relay.",
      default: "kubearmor.kubearmor.svc:32767",
      expects: "HOST:PORT without a scheme, such as kubearmor.kubearmor.svc:32767 or [2001:db8::1]:32767",
      isValid: (value) => isHostPort(value, "dial"),
      flag: { name: "--relay-address", argument: "HOST:PORT" },
    }),
    reconnectMaxMs: wholeNumber({
      about: "Longest pause between two attempts to open the stream; each pause is random up to a growing limit.",
      default: 10_000,
      min: 10,
      max: 10 * MINUTE_MS,
      unit: "ms",
    }),
    healthCheckIntervalMs: wholeNumber({
      about: "Time between two calls over the same connection that check an open but quiet stream.",
      default: 30_000,
      min: 100,
      max: HOUR_MS,
      unit: "ms",
    }),
    maxMessageBytes: wholeNumber({
      about: "Largest accepted alert; a larger one ends the stream, which is then opened again.",
      default: 4_194_304,
      min: 65_536,
      max: 67_108_864,
      unit: "bytes",
    }),
    tls: relayTls,
  }),
});
