#!/usr/bin/env bash
# Runs the benchmark: the probe against the shell job that it replaces, on one registry on loopback. Installs
# nothing; says what is missing. `benches/README.md` tells what is measured.
#
# Usage: run.sh, with ROUNDS (default 5) and PROBE_TEST_REGISTRY (default docker-registry) in the environment
set -euo pipefail

cd "$(dirname "$0")/.."

# Servers lie outside the path of ordinary users.
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
missing=()
for program in cargo curl jq nginx openssl "${PROBE_TEST_REGISTRY:-docker-registry}"; do
    command -v "$program" >/dev/null || missing+=("$program")
done
if ((${#missing[@]} > 0)); then
    printf 'benches/run.sh: needs %s\n' "${missing[*]}" >&2
    exit 1
fi

exec cargo bench --quiet --bench sweep
