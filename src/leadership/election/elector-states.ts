// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// States of a replica's election.
//
//               acquire                won
//        ┌──────────────▶ acquiring ─────────┐
//        │ ◀── stopped ──────┘               ▼
//      idle ◀────────── taken, expired ─── leading
//        │ ◀── taken, stopped ──┐            ▲
//        └──────────────▶ regaining ─────────┘
//               regain                 won
//
//   idle        does not try
//   acquiring   tries to take the Lease, until it leads
//   regaining   tries to keep the Lease, until another replica holds it
//   leading     renews the Lease
//
// From every state `released` leads to released, which is final.

export type ElectorState = "idle" | "acquiring" | "regaining" | "leading" | "released";
export type ElectorEvent =
  | "acquire"
  /** The caller wants to lead again unless another replica held the Lease meanwhile. */
  | "regain"
  /** The Lease names this process, and its deadline is not over. */
  | "won"
  /** Another replica holds the Lease, or it was freed by another client. */
  | "taken"
  /** The Lease was not renewed in time. */
  | "expired"
  /** The caller stopped waiting. */
  | "stopped"
  | "released";

/** Every state × event. An event that leads to the same state changes nothing. */
// biome-ignore format: a table
export const NEXT_ELECTOR_STATE: Record<ElectorState, Record<ElectorEvent, ElectorState>> = {
  idle:      { acquire: "acquiring", regain: "regaining", won: "idle",     taken: "idle",      expired: "idle",      stopped: "idle",     released: "released" },
  acquiring: { acquire: "acquiring", regain: "acquiring", won: "leading",  taken: "acquiring", expired: "acquiring", stopped: "idle",     released: "released" },
  regaining: { acquire: "regaining", regain: "regaining", won: "leading",  taken: "idle",      expired: "regaining", stopped: "idle",     released: "released" },
  leading:   { acquire: "leading",   regain: "leading",   won: "leading",  taken: "idle",      expired: "idle",      stopped: "leading",  released: "released" },
  released:  { acquire: "released",  regain: "released",  won: "released", taken: "released",  expired: "released",  stopped: "released", released: "released" },
};
