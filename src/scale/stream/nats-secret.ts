// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The Secret with what a NATS server may ask for.

/** Keys of the Secret, all optional. */
export const SECRET_KEYS = ["nats.creds", "user", "password", "token", "ca.crt", "tls.crt", "tls.key"] as const;

/** Contents of the Secret. */
export type NatsSecret = Partial<Record<(typeof SECRET_KEYS)[number], string>>;
