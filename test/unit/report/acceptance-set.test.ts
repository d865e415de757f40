// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { AcceptanceMatch } from "../../../src/api/acceptance.ts";
import { type Acceptance, compileAcceptance } from "../../../src/report/acceptance-match.ts";
import { AcceptanceSet, type Subject } from "../../../src/report/acceptance-set.ts";
import { checkAll } from "../../support/gen.ts";
import { createIdentity } from "../../support/identity.ts";

function createAcceptance(name: string, match: Partial<AcceptanceMatch>): Acceptance {
  const compiled = compileAcceptance(name, { policy: "p", ...match });
  if ("problem" in compiled) throw new Error(compiled.problem);
  return compiled;
}

function createSubject(resource: string, operation = "File"): Subject {
  return { identity: createIdentity({ operation, verb: "open", resource }) };
}

const createSet = () => new AcceptanceSet(() => 1000);

describe("a set of acceptances", () => {
  it("matches a violation once with each, however often it is asked", () => {
    let matches = 0;
    const counting = (name: string): Acceptance => {
      const inner = createAcceptance(name, { resource: "/etc/*" });
      const matchesCounted: Acceptance["matches"] = (identity, work) => {
        matches++;
        return inner.matches(identity, work);
      };
      return { ...inner, matches: matchesCounted };
    };
    const set = createSet();
    for (let i = 0; i < 40; i++) set.put(counting(`a${i}`), undefined);
    const subjects = Array.from({ length: 50 }, (_, i) => createSubject(`/etc/${i}`));
    for (let look = 0; look < 5; look++) {
      expect(subjects.every((each) => set.acceptedBy(each)?.by === "a0")).toBe(true);
      expect([...set.refresh(subjects)]).toEqual([]);
    }
    expect(matches).toBe(40 * 50);
    set.put(counting("a0"), undefined);
    expect(set.acceptedBy(subjects[0] as Subject)?.by).toBe("a0");
    expect(matches).toBe(40 * 50 + 1);
  });

  it("yields before the event loop is held for long, for globs made to be slow", () => {
    const set = createSet();
    const slow = `/x${"*a".repeat(31)}*`;
    for (let i = 0; i < 100; i++) set.put(createAcceptance(`a${i}`, { resource: slow, source: slow }), undefined);
    const subjects = Array.from({ length: 300 }, (_, i) => createSubject(`/x${"a".repeat(505)}${i}`));
    // A violation costs about 100 globs x 512 characters x 1 word: a slice has one violation or two.
    expect([...set.refresh(subjects)].length).toBeGreaterThanOrEqual(150);
  });

  it("equals a fresh set after additions and removals", () => {
    const patterns = ["/etc/*", "/etc/a*", "**", "/var/**", "/etc/?"];
    const subjects = ["/etc/a", "/etc/ab", "/var/x/y", "/bin"].map((resource) => createSubject(resource));
    const change = fc.record({
      name: fc.constantFrom(...Array.from({ length: 40 }, (_, i) => `n${i}`)),
      pattern: fc.constantFrom(...patterns, undefined),
      expiresUs: fc.constantFrom(undefined, 1000, 1001),
      looks: fc.boolean(),
    });
    checkAll(200, [fc.array(change, { maxLength: 120 })], (changes) => {
      const set = createSet();
      const there = new Map<string, [Acceptance, number | undefined]>();
      for (const { name, pattern, expiresUs, looks } of changes) {
        const made = pattern === undefined ? undefined : createAcceptance(name, { resource: pattern });
        if (made) set.put(made, expiresUs);
        else set.remove(name);
        if (made) there.set(name, [made, expiresUs]);
        else there.delete(name);
        if (looks) for (const each of subjects) set.acceptedBy(each);
      }
      const fresh = createSet();
      for (const [made, expiresUs] of there.values()) fresh.put(made, expiresUs);
      for (const each of subjects) expect(set.acceptedBy(each)).toEqual(fresh.acceptedBy(each));
      expect(countMatches(set, subjects)).toEqual(countMatches(fresh, subjects));
    });
  });

  it("counts violations and occurrences for each acceptance", () => {
    const set = createSet();
    set.put(createAcceptance("etc", { resource: "/etc/*" }), undefined);
    set.put(createAcceptance("all", {}), undefined);
    set.put(createAcceptance("none", { operation: "Network" }), undefined);
    expect(
      countMatches(
        set,
        ["/etc/a", "/etc/b", "/bin"].map((each) => createSubject(each)),
      ),
    ).toEqual({ all: { violations: 3, occurrences: 21 }, etc: { violations: 2, occurrences: 14 } });
  });

  it("matches the path that is meant", () => {
    const set = createSet();
    set.put(createAcceptance("usr", { resource: "/usr/**" }), undefined);
    expect(set.acceptedBy(createSubject("/usr/../etc/shadow"))).toBeUndefined();
    expect(set.acceptedBy(createSubject("/bin/../usr/bin/apt"))).toEqual({ by: "usr" });
    expect(compileAcceptance("x", { policy: "p", resource: "/usr/../etc/*" })).toEqual({
      problem: "spec.match.resource: write the path without . and .. in it",
    });
  });

  it.each([
    ["cut off", "/data/aaaa…", "/data/a*…"],
    ["masked", "/data/token=[REDACTED]", "/data/token=\\[REDACTED\\]"],
  ])("does not match a path of which a part was %s, and may have been ..", (_what, resource, exact) => {
    const set = createSet();
    set.put(createAcceptance("data", { resource: "/data/**" }), undefined);
    expect(set.acceptedBy(createSubject(resource))).toBeUndefined();
    set.put(createAcceptance("exact", { resource: exact }), undefined);
    expect(set.acceptedBy(createSubject(resource))).toEqual({ by: "exact" });
    set.remove("exact");
    set.put(createAcceptance("any", { resource: "**" }), undefined);
    expect(set.acceptedBy(createSubject(resource))).toEqual({ by: "any" });
  });

  it("matches a path with a masked part by a glob that has it only where no other part is masked", () => {
    const set = createSet();
    set.put(createAcceptance("data", { resource: "/data/\\[REDACTED\\]/**" }), undefined);
    expect(set.acceptedBy(createSubject("/data/[REDACTED]/a"))).toEqual({ by: "data" });
    expect(set.acceptedBy(createSubject("/data/[REDACTED]/[REDACTED]/etc/shadow"))).toBeUndefined();
  });
});

function countMatches(set: AcceptanceSet, subjects: readonly Subject[]): object {
  const steps = set.count(subjects, () => 7);
  for (let step = steps.next(); ; step = steps.next()) if (step.done) return Object.fromEntries(step.value);
}
