#!/usr/bin/env bash
# Runs fuzz targets for a number of seconds each, as many at once as there are processors.
#
#   tools/fuzz.sh BUILD SECONDS [TARGET...]      TARGET --list prints the names
#
# A target's seeds are tests/fuzz/corpus/TARGET (read only); what it finds on the way is kept
# under BUILD, so that the next run goes on from there.
set -euo pipefail
build=$1
seconds=$2
shift 2

available() {
    find "$build/tests/fuzz" -maxdepth 1 -name 'fuzz_*' -type f -perm -u+x 2>/dev/null |
        sed 's|.*/fuzz_||' | sort
}

# Runs one target; its whole output goes to a log, its end to the terminal.
fuzz_one() {
    local name=$1 status=0 log found seeds=tests/fuzz/corpus/$1
    local options=(-max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1)
    log=$build/fuzz_$name.log
    found=$build/found/$name
    mkdir -p "$build/corpus/$name" "$found"
    [ ! -f "tests/fuzz/$name.dict" ] || options+=(-dict="tests/fuzz/$name.dict")
    [ -d "$seeds" ] || seeds=
    "$build/tests/fuzz/fuzz_$name" "${options[@]}" -artifact_prefix="$found/" \
        "$build/corpus/$name" $seeds >"$log" 2>&1 || status=$?
    if [ "$status" = 0 ]; then
        printf 'fuzz: %-24s ok: %s inputs in %s s, coverage %s\n' "$name" \
            "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -n 1)" "$seconds" \
            "$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)"
        return 0
    fi
    tail -n 40 "$log"
    local input
    input=$(find "$found" -type f -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d' ' -f2-)
    echo "fuzz: $name FAILED (its output: $log). To repeat it:"
    echo "    $build/tests/fuzz/fuzz_$name $input"
    echo "Once mended, keep the input: cp $input tests/fuzz/corpus/$name/"
    return 1
}

main() {
    local names name failed=0
    names=$(available)
    if [ "${1:-}" = --list ]; then
        echo "$names"
        return 0
    fi
    if [ $# -gt 0 ]; then
        for name in "$@"; do
            grep -qxF -- "$name" <<<"$names" || {
                echo "fuzz: no target \"$name\": the targets are:" $names >&2
                return 1
            }
        done
        names=$(printf '%s\n' "$@")
    fi
    [ -n "$names" ] || { echo "fuzz: no fuzz targets in $build/tests/fuzz" >&2; return 1; }
    for name in $names; do
        while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do
            wait -n || true
        done
        rm -f "$build/fuzz_$name.passed"
        { fuzz_one "$name" && touch "$build/fuzz_$name.passed"; } &
    done
    wait
    for name in $names; do
        [ -f "$build/fuzz_$name.passed" ] || failed=1
    done
    return $failed
}

main "$@"
