#!/usr/bin/env bash
# Gives the targets of fuzz/checks 20,000 mutations of their corpora, then fuzzes them, FUZZ_SECONDS each
# (600; 0 for mutations alone) and FUZZ_JOBS at a time (1): those of FUZZ_TARGETS, or all. What is found
# goes below the build's folder, so that the corpus stays what was committed; a crash is left in
# fuzz/artifacts, and is a failure. Fuzzing needs cargo-fuzz and a nightly compiler; mutations do not.
set -euo pipefail
cd "$(dirname "$0")"

# The program that runs one target: how `xargs` calls us back.
if [ "${1:-}" = one ]; then
    target=$2
    mkdir -p "$FUZZ_OUTPUT/found/$target" "artifacts/$target"
    log=$FUZZ_OUTPUT/$target.log
    if ! nice -n 19 "$FUZZ_OUTPUT/$FUZZ_HOST/release/$target" \
        -max_total_time="$FUZZ_SECONDS" -max_len=16384 -timeout=10 -rss_limit_mb=2048 \
        -use_value_profile=1 -print_final_stats=1 -artifact_prefix="artifacts/$target/" \
        "$FUZZ_OUTPUT/found/$target" "corpus/$target" >"$log" 2>&1; then
        tail -n 40 "$log"
        echo "$target: failed; the input is in fuzz/artifacts/$target, the log in $log"
        exit 1
    fi
    grep '^Done ' "$log" | sed "s/^/$target: /"
    exit
fi

targets=${FUZZ_TARGETS:-$(cd fuzz_targets && printf '%s\n' *.rs | sed 's/\.rs$//')}
for target in $targets; do
    if [ ! -e "fuzz_targets/$target.rs" ]; then
        echo "there is no target $target" >&2
        exit 1
    fi
done
# shellcheck disable=SC2086 # One filter for each target.
(cd .. && PROBE_FUZZ_MUTATIONS=20000 cargo test --release --lib -- --exact \
    $(printf 'fuzzing::replay::%s\n' $targets))

export FUZZ_SECONDS=${FUZZ_SECONDS:-600}
if [ "$FUZZ_SECONDS" = 0 ]; then
    exit
fi
export FUZZ_OUTPUT=${CARGO_TARGET_DIR:-$PWD/target}/fuzz
# shellcheck disable=SC2155 # A compiler that is missing shows itself in the build.
export FUZZ_HOST=$(rustc +nightly -vV | sed -n 's/^host: //p')
if ! command -v cargo-fuzz >/dev/null; then
    echo "cargo-fuzz is missing: cargo install cargo-fuzz" >&2
    exit 1
fi
cargo +nightly fuzz build --target-dir "$FUZZ_OUTPUT"
xargs -n 1 -P "${FUZZ_JOBS:-1}" "$PWD/run.sh" one <<<"$targets"
