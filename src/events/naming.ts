// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Texts of an Event: its name, reason, action and note, within the limits that the API server enforces.
// Invariant: pure; the API server accepts the result for any alert.

import { EVENT_REASON } from "../api/names.ts";
import { sanitize } from "../lib/sanitize.ts";
import type { EventUpdate, Regarding } from "./event-recorder.ts";

const MAX_NOTE_BYTES = 1024;
const MAX_ACTION_CHARS = 128;
const MAX_NAME_CHARS = 253;
const DNS_SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

/**
 * `<object>.<hex>`, a DNS subdomain of at most 253 characters; `random` in [0, 1) keeps two writers of the same
 * millisecond apart.
 */
export function createEventName(regarding: Regarding, nowMs: number, random: number): string {
  const suffix =
    Math.floor(nowMs).toString(16) +
    Math.floor(random * 2 ** 32)
      .toString(16)
      .padStart(8, "0");
  const room = MAX_NAME_CHARS - 1 - suffix.length;
  const head = regarding.name.slice(0, room).replace(/[-.]+$/, "");
  return `${DNS_SUBDOMAIN.test(head) ? head : regarding.kind.toLowerCase()}.${suffix}`;
}

/** A node's Events live in `default`: the API server accepts no other place but kube-system. */
export function findEventNamespace(regarding: Regarding): string {
  return regarding.kind === "Node" ? "default" : regarding.namespace;
}

export function toEventReason(occurrence: Pick<EventUpdate, "outcome">): string {
  return EVENT_REASON[occurrence.outcome];
}

/** `Block` and `Process` → `BlockProcess`; `Audit (Block)` and `File` → `AuditBlockFile`; a notice → `Throttle`; a gap → `Read`. */
export function toEventAction(occurrence: Pick<EventUpdate, "outcome" | "action" | "operation">): string {
  if (occurrence.outcome === "Throttled") return "Throttle";
  if (occurrence.outcome === "StreamGap") return "Read";
  const words = `${occurrence.action} ${occurrence.operation}`.match(/[A-Za-z]+/g) ?? [];
  const action = words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join("");
  return action.slice(0, MAX_ACTION_CHARS) || "Report";
}

/** The note, cut to 1,024 bytes between characters. */
export function fitEventNote(note: string): string {
  return sanitize(note, MAX_NOTE_BYTES);
}
