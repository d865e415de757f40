// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { expect, test } from "vitest";
import { isHostPort } from "../../../../src/config/schema/address.ts";

test.each([
  ["kubearmor.kubearmor.svc:32767", true, true],
  ["localhost:1", true, true],
  ["relay.example.com.:443", true, true],
  ["10.0.0.1:65535", true, true],
  ["[::1]:8080", true, true],
  ["[2001:db8::1]:32767", true, true],
  [":8080", false, true],
  ["localhost:0", false, true],
  ["relay", false, false],
  ["relay:", false, false],
  ["relay:x", false, false],
  ["relay:65536", false, false],
  ["relay:-1", false, false],
  ["http://relay:1", false, false],
  ["relay:1/path", false, false],
  ["user@relay:1", false, false],
  ["::1:8080", false, false],
  ["[::1]", false, false],
  ["[relay]:1", false, false],
  ["[]:1", false, false],
  ["10.0.0.256:1", false, false],
  ["10.0.0:1", false, false],
  ["re lay:1", false, false],
  ["-relay:1", false, false],
  ["a..b:1", false, false],
  [`${"a".repeat(64)}:1`, false, false],
  ["", false, false],
])("%s: to dial %s, to listen %s", (text, dial, listen) => {
  expect(isHostPort(text, "dial")).toBe(dial);
  expect(isHostPort(text, "listen")).toBe(listen);
});
