// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Names of the two kinds of peers, for messages, and the ways to fix their certificates.
// Invariant: constants and text only.

export interface PeerText {
  /** `the relay`. */
  name: string;
  /** Command that restarts it, as a clause. */
  restart: string;
  /** Against a certificate for other hosts. */
  ifOtherHost: string;
  /** Against a certificate without names. */
  ifNoHost: string;
}

export const RELAY_PEER: PeerText = {
  name: "the relay",
  restart: "restart its relay (kubectl -n kubearmor rollout restart deployment kubearmor-relay)",
  ifOtherHost: "set feed.relay.tls.serverName or feed.relay.address to one of these",
  ifNoHost: "KubeArmor makes such certificates with -tlsCertProvider=self; use external",
};

/** Describes KubeArmor's daemon on a node. It makes its certificate at its start, for the first InternalIP of its Node. */
export function daemonPeer(node: string, address: string): PeerText {
  const restart = `restart KubeArmor on the node (kubectl -n kubearmor delete pod -l kubearmor-app=kubearmor --field-selector spec.nodeName=${node})`;
  return {
    name: `KubeArmor at ${address}`,
    restart,
    ifOtherHost: `if the node's address has changed, ${restart}`,
    ifNoHost: restart,
  };
}
