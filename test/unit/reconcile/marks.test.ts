// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { describe, expect, it } from "vitest";
import type { ObjectMeta } from "../../../src/api/v1alpha1.ts";
import { addMark, findPersistedSeq, isSameWrite, parseMarks } from "../../../src/reconcile/marks.ts";

function createMetadata(by: string): ObjectMeta {
  return { name: "p", annotations: { note: "mine", "reports.kubearmor.com/written-by": by } };
}

describe("marks", () => {
  it.each<[string, ObjectMeta | undefined, string[]]>([
    ["are those of the annotation, in its order", createMetadata("b/2 a/17"), ["b 2", "a 17"]],
    ["are one where one writer has written", createMetadata("pod-1.0af3/1"), ["pod-1.0af3 1"]],
    ["are none without an object", undefined, []],
    ["are none without annotations", { name: "p" }, []],
    ["are none among others", { name: "p", annotations: { note: "x" } }, []],
    [
      "leave out what a person has spoilt",
      createMetadata("a b/ /3 c/x d/4 e/-1 f/1/2 g/1e3  h/99999999999999999"),
      ["d 4"],
    ],
    [
      "are at most eight",
      createMetadata("a/1 b/1 c/1 d/1 e/1 f/1 g/1 h/1 i/1"),
      [..."abcdefgh"].map((id) => `${id} 1`),
    ],
  ])("%s", (_name, metadata, expected) => {
    expect(parseMarks(metadata).map(({ id, seq }) => `${id} ${seq}`)).toEqual(expected);
  });

  it("show each writer its last persisted set, also after writes of others", () => {
    const stored = createMetadata("b/2 a/17");
    expect([findPersistedSeq(stored, "a"), findPersistedSeq(stored, "b"), findPersistedSeq(stored, "c")]).toEqual([
      17, 2, 0,
    ]);
  });

  it("show by their last write alone that two objects hold the same counts", () => {
    expect(isSameWrite(createMetadata("b/2 a/17"), createMetadata("b/2"))).toBe(true);
    expect(isSameWrite(createMetadata("b/2 a/17"), createMetadata("a/17 b/2"))).toBe(false);
    expect(isSameWrite(createMetadata("b/2"), createMetadata("b/3"))).toBe(false);
    expect(isSameWrite({ name: "p" }, { name: "p" })).toBe(false);
    expect(isSameWrite(undefined, undefined)).toBe(false);
  });
});

describe("the annotations of a write", () => {
  const by = (metadata: ObjectMeta | undefined, seq: number) =>
    addMark({ id: "a", seq }, metadata)["reports.kubearmor.com/written-by"];

  it("have the writer's own mark first, and keep the others'", () => {
    expect(by(undefined, 1)).toBe("a/1");
    expect(by(createMetadata("a/17"), 18)).toBe("a/18");
    expect(by(createMetadata("b/2 a/17 c/5"), 18)).toBe("a/18 b/2 c/5");
    expect(by(createMetadata("b/1 c/1 d/1 e/1 f/1 g/1 h/1 i/1"), 1)).toBe("a/1 b/1 c/1 d/1 e/1 f/1 g/1 h/1");
  });

  it("keep what others wrote", () => {
    expect(addMark({ id: "a", seq: 1 }, createMetadata("b/2"))).toEqual({
      note: "mine",
      "argocd.argoproj.io/compare-options": "IgnoreExtraneous",
      "reports.kubearmor.com/written-by": "a/1 b/2",
    });
    expect(addMark(undefined, { name: "p", annotations: { note: "mine" } })).toEqual({
      note: "mine",
      "argocd.argoproj.io/compare-options": "IgnoreExtraneous",
    });
  });
});
