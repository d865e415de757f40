// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The section on pages of pods, workloads and nodes, and the form of the settings.

import { screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { expect, test } from "vitest";
import { SettingsForm } from "../src/components/settings-form.tsx";
import { createReport, createViolation } from "../test/reports.ts";
import { openResource, show } from "./host.tsx";

const REPORTS = [createReport([createViolation()])];
const metadata = { namespace: "shop" };

test.each([
  ["a pod", { kind: "Pod", metadata: { ...metadata, name: "web-1" } }],
  ["its workload", { kind: "Deployment", metadata: { ...metadata, name: "web" } }],
  ["its node", { kind: "Node", metadata: { name: "node-1" } }],
])("the page of %s lists the violations that name it", async (_name, resource) => {
  await openResource(resource, { reports: REPORTS });
  const table = within(await screen.findByRole("table"));
  expect(table.getByRole("link", { name: "Process /bin/sh" })).toBeDefined();
});

test.each([
  ["another pod", { kind: "Pod", metadata: { ...metadata, name: "db-0" } }],
  ["a pod of the same name elsewhere", { kind: "Pod", metadata: { namespace: "else", name: "web-1" } }],
])("the page of %s says what is known", async (_name, resource) => {
  await openResource(resource, { reports: REPORTS });
  expect(await screen.findByText(/^No such violation is reported\./)).toBeDefined();
  expect(screen.queryByRole("link", { name: "Process /bin/sh" })).toBeNull();
});

test("the page of a pod says that lists which do not name it may concern it", async () => {
  const cut = createReport([createViolation({ occurrences: 90 })], { omitted: { violations: 2, occurrences: 5 } });
  await openResource({ kind: "Pod", metadata: { ...metadata, name: "web-7" } }, { reports: [cut] });
  expect(await screen.findAllByText(/may concern this Pod/)).toHaveLength(2);
});

test("pages of other kinds have no section", async () => {
  await openResource({ kind: "ConfigMap", metadata: { ...metadata, name: "web" } }, { reports: REPORTS });
  expect(document.body.textContent).toBe("");
});

test("the settings keep the operator's namespace without spaces", async () => {
  const changes: object[] = [];
  show(<SettingsForm data={{}} onDataChange={(data) => void changes.push(data)} />);
  await userEvent.type(screen.getByLabelText("Namespace of the operator"), "s");
  await userEvent.type(screen.getByLabelText("Namespace of the operator"), " ");
  expect(changes).toEqual([{ leaseNamespace: "s" }, { leaseNamespace: "" }]);
});
