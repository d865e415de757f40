// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { expect, it } from "vitest";
import { decode } from "../../../../src/ingest/decode.ts";
import { SubjectNames } from "../../../../src/ingest/violation/subject-names.ts";
import { alert } from "../../../support/gen.ts";

const OWNERS = ["first", "second"] as const;

function decodeOwner(owner: string) {
  const found = decode(alert({ OwnerRef: "Deployment", OwnerName: owner }), 0, (text) => text);
  if (found.kind !== "violation") throw new Error(found.kind);
  return found;
}

it("resolves to the owner that was new last, whichever of the known ones is seen again", () => {
  for (const again of [[], ["first"], ["second", "first", "first"]]) {
    const names = new SubjectNames();
    for (const owner of [...OWNERS, ...again]) {
      const { violation, subject } = decodeOwner(owner);
      names.learn(violation, subject);
    }
    const unowned = decodeOwner("").violation;
    expect(unowned.identity.workload.kind).toBe("Pod");
    expect(names.resolve(unowned).identity.workload).toEqual({ kind: "Deployment", name: "second" });
    expect(names.size).toBeLessThanOrEqual(2);
  }
});
