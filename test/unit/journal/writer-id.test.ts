// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { describe, expect, it } from "vitest";
import { createWriterId, isOfAccount } from "../../../src/journal/writer-id.ts";

const ACCOUNT = "6f1c2f0e-0c5e-4b57-9d58-2f7a0b9d7c11";
const OTHER = "0f1c2f0e-0c5e-4b57-9d58-2f7a0b9d7c11";

describe("the name of a writer", () => {
  it("is new each time", () => {
    expect(createWriterId("a", ACCOUNT)).not.toBe(createWriterId("a", ACCOUNT));
    expect(createWriterId("a", undefined)).toMatch(/^a\.[0-9a-f]{8}$/);
  });

  it.each(["pvo-5d8-x", "host.example.com", "x.00000000"])("of %s is of its account alone", (identity) => {
    const id = createWriterId(identity, ACCOUNT);
    expect([ACCOUNT, OTHER, undefined].map((account) => isOfAccount(id, account))).toEqual([true, false, true]);
  });

  it("without an account may be anyone's", () => {
    expect(isOfAccount(createWriterId("x.00000000", undefined), ACCOUNT)).toBe(true);
  });
});
