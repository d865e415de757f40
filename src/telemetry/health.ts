// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The answers of /healthz and /readyz: a status with one line per check, as Kubernetes' servers print `?verbose`.

import type { HttpPage } from "./http-server.ts";

/** The result of a probe; `detail` gives the reason of a failed check, or the state of a passed one. */
export interface Health {
  ok: boolean;
  checks: Readonly<Record<string, { ok: boolean; detail?: string }>>;
}

/** Renders a probe: 200 or 503, one line per check. */
export function renderHealth(name: string, { ok, checks }: Health): HttpPage {
  const lines = Object.entries(checks).map(([check, { ok: passes, detail }]) => {
    if (passes) return `[+]${check} ok${detail === undefined ? "" : `: ${detail}`}\n`;
    return `[-]${check}: ${detail ?? "failed"}\n`;
  });
  const body = `${lines.join("")}${name} check ${ok ? "passed" : "failed"}\n`;
  return { status: ok ? 200 : 503, body };
}

export function createHealthPages(healthy: () => Health, ready: () => Health): Record<string, () => HttpPage> {
  return { "/healthz": () => renderHealth("healthz", healthy()), "/readyz": () => renderHealth("readyz", ready()) };
}
