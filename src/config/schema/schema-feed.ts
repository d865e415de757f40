// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Settings of the source of the alerts.

import { HOUR_MS, MINUTE_MS } from "../../lib/time.ts";
import { isHostPort } from "./address.ts";
import { choice, namespaceName, objectName, path, section, text, wholeNumber } from "./setting.ts";

function createKeySetting(about: string, key: string) {
  return text({
    about,
    default: key,
    expects: "a key of a Secret (1 to 253 letters, digits, '-', '_' and '.')",
    isValid: (value) => /^[A-Za-z0-9._-]{1,253}$/.test(value),
  });
}

const relayTls = section("TLS to the relay, which is always mutual: KubeArmor has no other.", {
  mode: choice(["auto", "off", "secret", "files"], {
    about:
      "Security of the connection: `auto` uses TLS if KubeArmor's Secret exists and plaintext if not, but never plaintext after TLS; `secret` and `files` require TLS; `off` is plaintext.",
    default: "auto",
    flag: { name: "--relay-tls", argument: "MODE" },
  }),
  serverName: text({
    about: "The name that the relay's certificate must be for. Empty: the host in `feed.relay.address`.",
    default: "",
    expects: "a host name or IP address, or empty",
    isValid: (value) => value === "" || /^[A-Za-z0-9._:-]{1,253}$/.test(value),
  }),
  secret: section("The Secret for `secret` and `auto`, read before each connection.", {
    namespace: namespaceName({
      about: "Its namespace. Empty: that of the relay's Service (`feed.relay.address`), else `kubearmor`.",
      default: "",
    }),
    name: objectName({ about: "Its name.", default: "kubearmor-client-certs" }),
    caKey: createKeySetting("The key of the authorities that may have issued the relay's certificate.", "ca.crt"),
    certificateKey: createKeySetting("The key of our own certificate.", "tls.crt"),
    privateKeyKey: createKeySetting("The key of our certificate's private key.", "tls.key"),
  }),
  files: section("PEM files for `files`, read before each connection.", {
    ca: path({
      about: "The authorities that may have issued the relay's certificate.",
      default: "/var/lib/kubearmor/tls/ca.crt",
    }),
    certificate: path({ about: "Our own certificate.", default: "/var/lib/kubearmor/tls/client.crt" }),
    privateKey: path({ about: "Our certificate's private key.", default: "/var/lib/kubearmor/tls/client.key" }),
  }),
});

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
