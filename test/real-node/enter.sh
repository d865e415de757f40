#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Copyright The policy-violation-operator Authors
#
# Runs init.sh in cgroups and namespaces of its own. What is made on the machine for that (cgroups, mount points) is
# written to $STATE/made, one path a line, and removed by leave.sh. Invariant: nothing else of the machine is changed.
set -eu
: "${STATE:?folder}" "${HERE:?folder of this file}"

# /proc/self/cgroup, version 1: NUMBER:CONTROLLERS:PATH, where a hybrid machine has one line without controllers.
cgroups=$(cat /proc/self/cgroup)
echo "$cgroups" | while IFS=: read -r _ controllers path; do
  [ -n "$controllers" ] || continue
  parent=/sys/fs/cgroup/${controllers#name=}${path%/}
  own=$parent/pvo-node-$$
  mkdir "$own"
  echo "$own" >>"$STATE/made"
  # A new cpuset is empty, and no process can be put into it.
  for file in cpuset.cpus cpuset.mems; do
    [ ! -e "$own/$file" ] || cat "$parent/$file" >"$own/$file"
  done
  echo $$ >"$own/cgroup.procs"
done

# Mount points for the state that kubelet, containerd and the CNI plugins keep at fixed places.
make() {
  [ -d "$1" ] && return
  make "$(dirname "$1")"
  mkdir "$1"
  echo "$1" >>"$STATE/made"
}
for place in $PLACES; do make "$place"; done

exec unshare -m -C -p -n -u -i --fork --kill-child --mount-proc --propagation private sh "$HERE/init.sh"
