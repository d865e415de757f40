// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The settings of TLS to KubeArmor's relay; a branch of the schema's tree.
// Invariant: as in schema.ts.

import { choice, section, text } from "./setting.ts";

const DNS_LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const DNS_SUBDOMAIN = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/;

function createFileSetting(about: string, path: string) {
  return text({
    about,
    default: path,
    expects: "the path of a file",
    isValid: (value) => value.length > 0 && value.length <= 4096 && !value.includes("\0"),
  });
}

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
    namespace: text({
      about: "Its namespace. Empty: that of the relay's Service (`feed.relay.address`), else `kubearmor`.",
      default: "",
      expects: "the name of a namespace (lower-case letters, digits and '-', at most 63), or empty",
      isValid: (value) => value === "" || DNS_LABEL.test(value),
    }),
    name: text({
      about: "Its name.",
      default: "kubearmor-client-certs",
      expects: "the name of a Kubernetes object (lower-case letters, digits, '-' and '.', at most 253)",
      isValid: (value) => value.length <= 253 && DNS_SUBDOMAIN.test(value),
    }),
    caKey: createKeySetting("The key of the authorities that may have issued the relay's certificate.", "ca.crt"),
    certificateKey: createKeySetting("The key of our own certificate.", "tls.crt"),
    privateKeyKey: createKeySetting("The key of our certificate's private key.", "tls.key"),
  }),
  files: section("PEM files for `files`, read before each connection.", {
    ca: createFileSetting(
      "The authorities that may have issued the relay's certificate.",
      "/var/lib/kubearmor/tls/ca.crt",
    ),
    certificate: createFileSetting("Our own certificate.", "/var/lib/kubearmor/tls/client.crt"),
    privateKey: createFileSetting("Our certificate's private key.", "/var/lib/kubearmor/tls/client.key"),
  }),
});
