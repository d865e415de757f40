// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The settings of TLS to KubeArmor's relay; a branch of the schema's tree.
// Invariant: as in schema.ts.

import { choice, namespaceName, objectName, path, section, text } from "./setting.ts";

function createKeySetting(about: string, key: string) {
  return text({
    about,
    default: key,
    expects: "a key of a Secret (1 to 253 letters, digits, '-', '_' and '.')",
    isValid: (value) => /^[A-Za-z0-9._-]{1,253}$/.test(value),
  });
}

export const relayTls = section("TLS to the relay, which is always mutual: KubeArmor has no other.", {
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
