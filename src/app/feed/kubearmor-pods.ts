// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Follows the pods of KubeArmor's daemon, in all namespaces: the relay's pods have another label.
// Invariant: a pod without a node or an address is not reported; a deletion is reported once.

import type { FollowNodes, NodeObserver, NodeTarget } from "../../alerts/node-source.ts";
import { type FollowOptions, follow } from "../../kube/follow.ts";
import type { Logger } from "../../lib/logger.ts";

/** As the daemon listens, on its node's addresses. */
const DAEMON_PORT = 32_767;
const LABEL = "kubearmor-app=kubearmor";

interface Pod {
  metadata?: { uid?: string };
  spec?: { nodeName?: string };
  status?: { phase?: string; podIP?: string; podIPs?: { ip?: string }[] };
}

/** Returns a function that follows the pods until the signal aborts. */
export function followKubeArmorPods(options: Pick<FollowOptions, "client" | "clock">, logger: Logger): FollowNodes {
  return async (observer, signal) => {
    const known = new Set<string>();
    let listed: Set<string> | undefined;
    await follow(
      { ...options, path: "/api/v1/pods", labelSelector: LABEL },
      {
        onListing: () => {
          listed = new Set();
        },
        onObject: (object) => {
          // An evicted pod keeps its address, which its successor has.
          if (/^(?:Failed|Succeeded)$/.test((object as Pod).status?.phase ?? "")) {
            remove((object as Pod).metadata?.uid ?? "", known, observer);
            return;
          }
          const target = toTarget(object);
          if (target === undefined) return;
          listed?.add(target.uid);
          known.add(target.uid);
          observer.onNode(target);
        },
        onListed: () => {
          for (const uid of known) if (!listed?.has(uid)) remove(uid, known, observer);
          listed = undefined;
          observer.onListed();
        },
        onRemoved: (object) => remove((object as Pod).metadata?.uid ?? "", known, observer),
        onOpen: (wasInterrupted) => {
          if (wasInterrupted) logger.info({}, "following KubeArmor's pods again");
        },
        onProblem: ({ message, isNew }) => {
          if (isNew) logger.warn({ answer: message }, "failed to follow KubeArmor's pods, retrying");
        },
      },
      signal,
    );
  };
}

function remove(uid: string, known: Set<string>, observer: NodeObserver): void {
  if (known.delete(uid)) observer.onGone(uid);
}

/** Returns undefined for a pod that has no node or address yet. */
function toTarget(object: unknown): NodeTarget | undefined {
  const { metadata, spec, status } = object as Pod;
  const ips = status?.podIPs?.length ? status.podIPs.map(({ ip }) => ip) : [status?.podIP];
  const addresses = ips.flatMap((ip) =>
    ip ? [ip.includes(":") ? `[${ip}]:${DAEMON_PORT}` : `${ip}:${DAEMON_PORT}`] : [],
  );
  if (!metadata?.uid || !spec?.nodeName || addresses.length === 0) return undefined;
  return { uid: metadata.uid, node: spec.nodeName, addresses };
}
