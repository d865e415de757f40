// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Settings of Kubernetes Events.

import { HOUR_MS, MINUTE_MS } from "../../lib/time.ts";
import { section, toggle, wholeNumber } from "./setting.ts";

export const events = section("Kubernetes Events on the pods and nodes that alerts are about.", {
  enabled: toggle({ about: "Sends Events.", default: true }),
  defaultPosture: toggle({
    about: "Also sends Events for alerts of KubeArmor's default posture, which name no policy.",
    default: false,
  }),
  minGapMs: wholeNumber({
    about: "Minimum length of a gap in the alert stream that an Event on the operator's own Deployment reports.",
    default: MINUTE_MS,
    min: 100,
    max: 24 * HOUR_MS,
    unit: "ms",
  }),
  perObjectBurst: wholeNumber({
    about: "Burst of new Events about one pod or node.",
    default: 25,
    min: 1,
    max: 1000,
    unit: "Events",
  }),
  perObjectIntervalMs: wholeNumber({
    about: "Interval between new Events about one pod or node after that burst.",
    default: 30_000,
    min: 100,
    max: HOUR_MS,
    unit: "ms",
  }),
  perSecond: wholeNumber({
    about: "Events created or updated a second, over all objects.",
    default: 10,
    min: 1,
    max: 1000,
    unit: "Events",
  }),
  burst: wholeNumber({
    about: "Burst of Events after a quiet time, over all objects.",
    default: 50,
    min: 1,
    max: 10_000,
    unit: "Events",
  }),
  maxQueued: wholeNumber({
    about: "New Events that wait to be sent; what does not fit is lost and counted.",
    default: 1000,
    min: 1,
    max: 100_000,
    unit: "Events",
  }),
  maxSeries: wholeNumber({
    about: "Events remembered so that repeats update them; the one silent for longest is evicted first.",
    default: 4096,
    min: 1,
    max: 1_000_000,
    unit: "Events",
  }),
});
