// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { expect, it } from "vitest";
import { listClassShapes, listExportedNames } from "./source-code.ts";

it("finds exported names and the shapes of classes", () => {
  const text = `export class A {
  readonly #hidden = 1;
  shown = 2;
  static readonly b: number;

  constructor() {
    this.shown = 3;
  }

  get c(): number {
    return 1;
  }

  set c(value: number) {}

  async d<T>(): Promise<T> {}

  #e(): void {}
}

export const f = 1;
`;
  expect(listClassShapes({ path: "x", text })).toEqual([
    { name: "A", publicMembers: ["shown", "b", "c", "d"], constructorLines: 3 },
  ]);
  expect(listExportedNames({ path: "x", text })).toEqual(["A", "f"]);
});
