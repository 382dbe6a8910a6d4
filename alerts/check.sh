#!/bin/sh
# Checks the alerts: their syntax, their unit tests, the example for Alertmanager, and that each test in
# tests/regressions fails on the old rules and passes on ours. Needs promtool and amtool.
set -eu
cd "$(dirname "$0")"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

fail() {
    printf 'alerts/check.sh: %s\n' "$*" >&2
    exit 1
}

promtool check rules ./*.rules.yaml tests/regressions/old.rules.yaml
promtool test rules tests/*.test.yaml
amtool check-config alertmanager.example.yaml

# Runs a regression test against a file of rules.
regression() {
    cp "$1" "$scratch/rules.yaml"
    cp "$2" "$scratch/test.yaml"
    promtool test rules "$scratch/test.yaml" >"$scratch/said" 2>&1
}

for test in tests/regressions/*.test.yaml; do
    regression registry-integrity.rules.yaml "$test" || {
        cat "$scratch/said" >&2
        fail "$test fails on our rules"
    }
    if regression tests/regressions/old.rules.yaml "$test"; then
        fail "$test passes on the old rules, so it shows nothing"
    fi
    # A test that cannot be read fails, too.
    grep -q 'exp:' "$scratch/said" || fail "$test fails on the old rules for another reason: $(cat "$scratch/said")"
    printf '%s: fails on the old rules, passes on ours\n' "$test"
done
