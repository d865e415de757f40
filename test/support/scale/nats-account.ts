// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// An operator, an account and its user of a NATS server, as `nsc` makes them: JWTs signed with nkeys, and a .creds file.

import { createHash } from "node:crypto";
import { nkeys } from "@nats-io/transport-node";

type KeyPair = ReturnType<typeof nkeys.createOperator>;

export interface NatsAccount {
  /** Lines of the server's configuration that trust the operator and know the account. */
  config: string;
  /** Contents of the user's .creds file. */
  credentials: string;
}

const UNLIMITED = { subs: -1, data: -1, payload: -1, conn: -1, imports: -1, exports: -1, wildcards: true };
const STORAGE = { mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 };

/** Makes all of them; `isExpired`: the user's credentials were valid once. */
export function createNatsAccount({ isExpired = false } = {}): NatsAccount {
  const [operator, account, user] = [nkeys.createOperator(), nkeys.createAccount(), nkeys.createUser()];
  const system = nkeys.createAccount();
  const systemJwt = encode(operator, system, { type: "account", limits: { ...UNLIMITED, leaf: -1 } });
  const operatorJwt = encode(operator, operator, { type: "operator" });
  const accountJwt = encode(operator, account, { type: "account", limits: { ...UNLIMITED, leaf: -1, ...STORAGE } });
  const userJwt = encode(account, user, { type: "user", subs: -1, data: -1, payload: -1 }, isExpired);
  const seed = new TextDecoder().decode(user.getSeed());
  return {
    config: `operator: ${operatorJwt}
resolver: MEMORY
system_account: ${system.getPublicKey()}
resolver_preload: { ${account.getPublicKey()}: ${accountJwt}, ${system.getPublicKey()}: ${systemJwt} }`,
    credentials: `-----BEGIN NATS USER JWT-----
${userJwt}
------END NATS USER JWT------

-----BEGIN USER NKEY SEED-----
${seed}
------END USER NKEY SEED------
`,
  };
}

function encode(issuer: KeyPair, subject: KeyPair, nats: object, isExpired = false): string {
  const seconds = Math.floor(Date.now() / 1000);
  const claims = {
    iat: seconds - 7200,
    ...(isExpired ? { exp: seconds - 3600 } : {}),
    iss: issuer.getPublicKey(),
    sub: subject.getPublicKey(),
    name: "test",
    nats: { ...nats, version: 2 },
  };
  const jti = createHash("sha256").update(JSON.stringify(claims)).digest("hex");
  const body = [
    { typ: "JWT", alg: "ed25519-nkey" },
    { ...claims, jti },
  ]
    .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
    .join(".");
  const signature = Buffer.from(issuer.sign(Buffer.from(body))).toString("base64url");
  return `${body}.${signature}`;
}
