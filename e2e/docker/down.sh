#!/usr/bin/env bash
# Ends what e2e/docker/up.sh FOLDER has started.
set -uo pipefail
folder=$1
for name in docker registry; do
  pid=$(cat "$folder/$name.pid" 2> /dev/null) || continue
  kill "$pid" 2> /dev/null
  for _ in $(seq 100); do kill -0 "$pid" 2> /dev/null || break; sleep 0.1; done
done
# The daemon leaves a name of its network behind.
umount "$folder"/exec/netns/* 2> /dev/null
rm -rf "$folder"
