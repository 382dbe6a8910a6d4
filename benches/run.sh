#!/usr/bin/env bash
# Runs the benchmarks: the probe as it is shipped against the shell job that it replaces and against load
# generators, on registries on loopback; its memory; and its parts. Builds `oha` where it is missing, and
# says what else is. `benches/README.md` tells what is measured.
#
# Usage: run.sh [sweep|scale|micro|unpack]..., with ROUNDS (default 5), SCALE (parts of scale, all of them by
# default) and PROBE_TEST_REGISTRY (default docker-registry) in the environment
set -euo pipefail

cd "$(dirname "$0")/.."

# Servers lie outside the path of ordinary users.
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
missing=()
for program in cargo curl h2load jq nginx openssl sha256sum "${PROBE_TEST_REGISTRY:-docker-registry}"; do
    command -v "$program" >/dev/null || missing+=("$program")
done
if ((${#missing[@]} > 0)); then
    printf 'benches/run.sh: needs %s (h2load is in nghttp2-client, the rest is installed by tests/setup.sh)\n' \
        "${missing[*]}" >&2
    exit 1
fi

# No package of Debian's: built beside what is built anyway, in the version that was measured with.
target=${CARGO_TARGET_DIR:-target}
if [[ -z ${OHA:-} ]] && ! OHA=$(command -v oha); then
    OHA=$(realpath -m "$target/tools/oha/bin/oha")
    [[ -x $OHA ]] || cargo install --quiet --locked --root "$target/tools/oha" oha@1.16.0
fi
export OHA

deploy/build-static.sh "$target/image/out"
PROBE=$(realpath "$target/image/out/probe")
export PROBE

parts=("$@")
((${#parts[@]} > 0)) || parts=(sweep scale micro)
for part in "${parts[@]}"; do
    if [[ $part == unpack ]]; then
        benches/unpack.sh
    else
        cargo bench --quiet --bench "$part"
    fi
done
