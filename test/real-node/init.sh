#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Copyright The policy-violation-operator Authors
#
# Process 1 of the node's namespaces: mounts, network, containerd, kubelet, kube-proxy and CoreDNS. Killing it ends them all.
# Invariant: what it mounts, configures and listens on is seen in these namespaces only.
set -eu
cd "$STATE"

# --- the file systems of a machine of its own
umount -R /sys/fs/cgroup
mount -t sysfs sysfs /sys
mount -t tmpfs -o mode=755 cgroups /sys/fs/cgroup
while IFS=: read -r _ controllers _; do
  [ -n "$controllers" ] || continue
  at=/sys/fs/cgroup/${controllers#name=}
  mkdir "$at"
  case $controllers in
  name=*) mount -t cgroup -o "none,$controllers" cgroup "$at" ;;
  *) mount -t cgroup -o "$controllers" cgroup "$at" ;;
  esac
done </proc/self/cgroup
for place in $PLACES; do
  mkdir -p "places$place"
  mount --bind "places$place" "$place"
done
mount -t tmpfs -o mode=755 run /run
mkdir -p /run/netns /run/lock

# --- kubelet would set these for the whole machine: show it files that hold what it wants
show() {
  file=sysctl-$(basename "$1")
  echo "$2" >"$file"
  mount --bind "$file" "/proc/sys/$1"
}
show vm/overcommit_memory 1
show vm/panic_on_oom 0
show kernel/panic 10
show kernel/panic_on_oops 1
show kernel/keys/root_maxkeys 1000000
show kernel/keys/root_maxbytes 25000000
mount --make-rshared /

# --- the network: the node's address is on a veth pair, since not every kernel has the `dummy` driver
echo "$NODE_NAME" >/proc/sys/kernel/hostname
ip link set lo up
ip link add node0 type veth peer name node1
ip link set node1 up
ip addr add "$NODE_ADDRESS/24" dev node0
ip link set node0 up
ip route add default dev node0
echo 1 >/proc/sys/net/ipv4/ip_forward
[ ! -e /proc/sys/net/bridge/bridge-nf-call-iptables ] || echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables

# --- the API server is outside: a bridge makes it reachable at the node's address, and the node reachable for it
"$NODE_PROGRAM" "$HERE/bridge.ts" >>logs/bridge.log 2>&1 &
containerd -c containerd.toml >>logs/containerd.log 2>&1 &
until ctr version >/dev/null 2>&1; do sleep 0.1; done
for image in images/*.tar; do ctr -n k8s.io images import "$image"; done
"$KUBELET" --config=kubelet.yaml --kubeconfig=kubelet.kubeconfig --hostname-override="$NODE_NAME" \
  --node-ip="$NODE_ADDRESS" --cert-dir="$STATE/kubelet-certs" >>logs/kubelet.log 2>&1 &
# With 0 it leaves the machine's connection tracking as it is.
"$KUBE_PROXY" --kubeconfig=kube-proxy.kubeconfig --hostname-override="$NODE_NAME" --proxy-mode=iptables \
  --cluster-cidr="$POD_CIDR" --conntrack-max-per-core=0 --conntrack-tcp-timeout-established=0 \
  --conntrack-tcp-timeout-close-wait=0 --oom-score-adj=0 >>logs/kube-proxy.log 2>&1 &
"$COREDNS" -conf Corefile >>logs/coredns.log 2>&1 &
# As process 1 the shell buries the orphans while it waits.
wait
