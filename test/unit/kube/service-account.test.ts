// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { KubeConfig } from "@kubernetes/client-node";
import { describe, expect, it } from "vitest";
import { readServiceAccountUid } from "../../../src/kube/service-account.ts";
import { createFolder } from "../../support/folder.ts";

const CLAIMS = { "kubernetes.io": { namespace: "kubearmor", serviceaccount: { name: "pvo", uid: "6f1c-1" } } };

function createToken(claims: unknown): string {
  return `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.c2ln`;
}

function read(user: object): string | undefined {
  const config = new KubeConfig();
  config.loadFromClusterAndUser({ name: "c", server: "https://h", skipTLSVerify: false }, { name: "u", ...user });
  return readServiceAccountUid(config);
}

describe("the ServiceAccount of a kubeconfig", () => {
  it("is in its token", () => {
    expect(read({ token: createToken(CLAIMS) })).toBe("6f1c-1");
  });

  it("is in the file of a pod", () => {
    const tokenFile = join(createFolder(), "token");
    writeFileSync(tokenFile, `${createToken(CLAIMS)}\n`);
    expect(read({ authProvider: { name: "tokenFile", config: { tokenFile } } })).toBe("6f1c-1");
  });

  it.each([
    ["a token of another kind", { token: "opaque" }],
    ["a token of a person", { token: createToken({ sub: "ann", "kubernetes.io": null }) }],
    ["a missing file", { authProvider: { name: "tokenFile", config: { tokenFile: "/nowhere/token" } } }],
    ["a certificate", { certFile: "/c", keyFile: "/k" }],
  ])("is not known with %s", (_name, user) => {
    expect(read(user)).toBeUndefined();
  });
});
