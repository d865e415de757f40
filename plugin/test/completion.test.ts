// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { describe, expect, test } from "vitest";
import { completions } from "./session.ts";

describe("the shell is offered", () => {
  test.each([
    ["", "explain timeline readiness accept accepted gate export audit version :4"],
    ["ga", "gate :4"],
    ["-n my", "my-ext-secret :4"],
    ["--namespace w", "wordpress-mysql :4"],
    ["--context ", "dev prod :4"],
    ["-n default --policy audit", "audit-all-unlink audit-etc-nginx-access :4"],
    ["-n default --workload v", "vault-0 :4"],
    ["gate -o ", "text json junit sarif :4"],
    ["-o c", "csv custom-columns= :4"],
    ["--severity c", "critical :4"],
    ["explain -n wordpress-mysql def", "default-posture :4"],
    ["explain -A cpvr/s", "cpvr/sleep-deny :4"],
    ["readiness -n wordpress-mysql Def", "DefaultPosture :4"],
    ["export --s", "--summary :4"],
    ["export --out ", ":0"],
    ["--sort-by c", "count :4"],
    ["nonsense ", ":4"],
    ["-n default ex", "explain export :4"],
    ["-n default explain ksp", "ksp-vault-network :4"],
    ["--namespace=default --policy=audit", "audit-all-unlink audit-etc-nginx-access :4"],
    ["export --out=/u", ":0"],
  ])("for %j %j", async (words, offered) => {
    expect((await completions(words.split(" "))).join(" ")).toBe(offered);
  });

  test("nothing, and no error, when there is no cluster", async () => {
    const broken = {
      where: "nowhere",
      list: () => {
        throw new Error("no connection");
      },
      read: async () => undefined,
      namespaces: async () => {
        throw new Error("no connection");
      },
    };
    expect(await completions(["-n", ""], { reports: broken })).toEqual([":4"]);
    expect(await completions(["explain", ""], { reports: broken })).toEqual([":4"]);
  });
});
