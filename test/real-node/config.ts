// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The configuration of the node's programs.
// Invariant: pure functions of their arguments.

import { join } from "node:path";
import { PAUSE_IMAGE } from "./image.ts";

/** The addresses of pods. */
export const POD_CIDR = "10.244.0.0/24";

/** KubeletConfiguration; `state` is the node's folder. */
export function renderKubeletConfig(state: string, address: string): string {
  return JSON.stringify({
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    kind: "KubeletConfiguration",
    address,
    failCgroupV1: false,
    failSwapOn: false,
    cgroupDriver: "cgroupfs",
    containerRuntimeEndpoint: "unix:///run/containerd/containerd.sock",
    // Only the API server's bridge and the node's own pods can reach it.
    authentication: { anonymous: { enabled: true }, webhook: { enabled: false } },
    authorization: { mode: "AlwaysAllow" },
    clusterDomain: "cluster.local",
    clusterDNS: [address],
    resolvConf: join(state, "resolv.conf"),
    volumePluginDir: join(state, "volume-plugins"),
    oomScoreAdj: 0,
    // An image that was imported can't be pulled again: a disk that is nearly full must not cost it.
    imageGCHighThresholdPercent: 100,
    imageGCLowThresholdPercent: 99,
    evictionHard: { "memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%" },
  });
}

/** CoreDNS' configuration: the cluster's Services, and nothing of the world outside. */
export function renderCorefile(address: string, kubeconfig: string): string {
  return `.:53 {
  bind ${address}
  errors
  kubernetes cluster.local in-addr.arpa ip6.arpa {
    kubeconfig ${kubeconfig}
    ttl 0
  }
}
`;
}

/** containerd's configuration, version 2, which containerd 1.6 and later read. */
export function renderContainerdConfig(cniDir: string): string {
  return `
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
oom_score = 0
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${PAUSE_IMAGE}"
  # Without CAP_SYS_RESOURCE every sandbox would else fail ("can't get final child's PID from pipe: EOF").
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "${cniDir}"
    conf_dir = "/etc/cni/net.d"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
`;
}

/** The network of the pods: a bridge in the node's namespace. */
export function renderPodNetwork(): string {
  const routes = [{ dst: "0.0.0.0/0" }];
  return JSON.stringify({
    cniVersion: "1.0.0",
    name: "pods",
    plugins: [
      {
        type: "bridge",
        bridge: "cni0",
        isGateway: true,
        ipMasq: false,
        hairpinMode: true,
        ipam: { type: "host-local", ranges: [[{ subnet: POD_CIDR }]], routes },
      },
      { type: "portmap", capabilities: { portMappings: true } },
    ],
  });
}
