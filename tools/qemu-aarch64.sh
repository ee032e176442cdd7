#!/usr/bin/env bash
# Runs a program for 64-bit ARM under qemu, all its threads on one processor:
#   tools/qemu-aarch64.sh SYSROOT PROGRAM [ARGUMENT...]
# On several, qemu lets a load-acquire overtake a store-release that stands before it (each is
# emulated with a barrier on its outer side only), which the architecture forbids and what
# sequentially consistent code relies on: wake-ups got lost under it that no ARM loses. Programs
# take turns among the processors that this one may use.
set -euo pipefail
sysroot=$1
shift

allowed=()
IFS=, read -ra ranges <<<"$(taskset -cp $$ | sed 's/.*: //')"
for range in "${ranges[@]}"; do
    for ((cpu = ${range%-*}; cpu <= ${range#*-}; cpu++)); do allowed+=("$cpu"); done
done

# The processor has pointer authentication (by a code of qemu's own: the architecture's takes many
# times as long to emulate) and branch targets, so that both are tried.
exec taskset -c "${allowed[$$ % ${#allowed[@]}]}" \
     qemu-aarch64 -cpu max,pauth-impdef=on -L "$sysroot" "$@"
