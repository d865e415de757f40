// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { describe, expect, it } from "vitest";
import { readMaterial } from "../../../../src/alerts/tls/material.ts";
import { BAD_CERTIFICATES, type TlsFiles } from "../../../support/bad-certificates.ts";
import { issueCertificate } from "../../../support/certificates.ts";

const ca = issueCertificate({ subject: "ca" });
const own = issueCertificate({ subject: "own", issuer: ca });
const files: TlsFiles = { "ca.crt": ca.pem, "tls.crt": own.pem, "tls.key": own.keyPem };

function read(changed: Partial<TlsFiles>) {
  const pem = (name: keyof TlsFiles) => ({
    name: `${name} of Secret a/b`,
    bytes: Buffer.from((changed[name] ?? files[name]) as Uint8Array),
  });
  return readMaterial({ ca: pem("ca.crt"), certificate: pem("tls.crt"), privateKey: pem("tls.key") }, Date.now());
}

describe("readMaterial", () => {
  it("reads PEM with Windows line breaks, text around it, and several certificates of which one has expired", () => {
    const toWindows = (text: unknown) => String(text).replaceAll("\n", "\r\n");
    const expired = issueCertificate({ subject: "expired", to: new Date("2021-01-01T00:00:00Z") });
    const bundle = `# authorities - all\n${expired.pem}\nsubject=ca\n${ca.pem}`;
    expect(read({ "ca.crt": bundle })).toHaveProperty("material");
    expect(
      read({ "ca.crt": toWindows(ca.pem), "tls.crt": toWindows(own.pem), "tls.key": toWindows(own.keyPem) }),
    ).toHaveProperty("material");
  });

  it.each(BAD_CERTIFICATES)("names the text and the fault of $name", ({ files, problem }) => {
    const result = read(files({ ca: ca.pem, certificate: own.pem, key: own.keyPem }));
    expect(result).toHaveProperty("problem", expect.stringMatching(problem));
    expect(result).toHaveProperty("problem", expect.stringContaining("of Secret a/b"));
    expect(JSON.stringify(result)).not.toMatch(/PRIVATE KEY-----\\n|secret\b/);
  });
});
