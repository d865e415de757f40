#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Copyright The policy-violation-operator Authors
#
# Removes what a node has left on the machine once its processes are gone: leave.sh STATE. Invariant: of what is not in
# STATE only empty folders are removed, and only those that the node has made.
state=$1
tries=50
# A cgroup can be removed only when its last process has been buried, which may take a moment.
while [ -e "$state/made" ] && [ $tries -gt 0 ]; do
  left=
  # The last made first: children before their parents.
  for path in $(sed '1!G;h;$!d' "$state/made"); do
    case $path in
    /sys/fs/cgroup/*) find "$path" -depth -type d -exec rmdir {} + 2>/dev/null ;;
    *) rmdir "$path" 2>/dev/null ;;
    esac
    case $path in /sys/fs/cgroup/*) [ ! -d "$path" ] || left=yes ;; esac
  done
  [ -n "$left" ] || break
  tries=$((tries - 1))
  sleep 0.1
done
rm -rf -- "$state"
