// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Destination of alerts before, during and after a takeover.
//
//                 loaded              elapsed
//     standby ─────────────▶ overlap ─────────▶ leading
//        │                      ▲                  │
//        │ separate             └─── late write ───┘
//        ▼         loaded
//     loading ─────────────▶ sole
//
//   standby   another replica writes: alerts are kept one by one until a report has them
//   overlap   each alert is compared with the reports as they were at the takeover
//   leading   alerts are counted at once; a write of the previous leader may still arrive
//   loading   alerts are counted at once, while the stored reports are being loaded
//   sole      as leading, but no other writer can have counted the alerts read here
//
// A replica begins in standby, the only replica in loading. Separate: everything that the previous leader counted was
// read before this process began to read.

export type TakeoverState = "standby" | "overlap" | "leading" | "loading" | "sole";
export type TakeoverEvent = "separate" | "loaded" | "elapsed" | "late_write";

/** Every state × event. An event that leads to the same state changes nothing. */
export const NEXT: Record<TakeoverState, Record<TakeoverEvent, TakeoverState>> = {
  standby: { separate: "loading", loaded: "overlap", elapsed: "standby", late_write: "standby" },
  overlap: { separate: "overlap", loaded: "overlap", elapsed: "leading", late_write: "overlap" },
  leading: { separate: "leading", loaded: "leading", elapsed: "leading", late_write: "overlap" },
  loading: { separate: "loading", loaded: "sole", elapsed: "loading", late_write: "loading" },
  sole: { separate: "sole", loaded: "sole", elapsed: "sole", late_write: "sole" },
};
