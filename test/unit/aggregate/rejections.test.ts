// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { describe, expect, it } from "vitest";
import { Rejections } from "../../../src/aggregate/rejections.ts";
import { START_US } from "../../support/gen.ts";

const span = () => [START_US, START_US] as const;

describe("rejected alerts", () => {
  it("of a namespace concern no other, also after a thousand namespaces had some", () => {
    const rejections = new Rejections();
    for (let i = 0; i < 3000; i++) {
      rejections.add({ namespace: `ns-${i}` }, START_US + i);
      if (i % 500 === 499) {
        const marked = rejections.take(span);
        expect(marked.map(({ scope }) => scope)).not.toContain(undefined);
        expect(marked).toHaveLength(500);
      }
    }
  });

  it("of more namespaces at once than are kept apart concern all", () => {
    const rejections = new Rejections();
    for (let i = 0; i < 1001; i++) rejections.add({ namespace: `ns-${i}` }, START_US);
    const marked = rejections.take(span);
    expect(marked.reduce((sum, { count }) => sum + count, 0)).toBe(1001);
    expect(marked.at(-1)?.scope).toBeUndefined();
  });
});
