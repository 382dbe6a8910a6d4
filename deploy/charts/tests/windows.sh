#!/bin/sh
# Holds the alerts of the chart to the interval that it is given: a probe that runs in time is quiet, one that does not is
# stale, and two runs in a row make an alert, not one. At 15 minutes they are those of the plain files, as tests/real/chart.rs
# says, so that the tests of those hold. Needs helm and promtool.
set -eu
cd "$(dirname "$0")/../../.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# The rules of the chart as a plain file.
rules() {
    helm template registry-probe deploy/charts/registry-probe --show-only templates/prometheus-rule.yaml \
        --set prometheusRule.enabled=true,interval="$1" 2>/dev/null | sed -e '1,/^spec:$/d' -e 's/^  //'
}

# Samples every five minutes of what a run every $1 minutes says when it ends, $2 runs long.
runs() {
    run=0
    while [ "$run" -lt "$2" ]; do
        printf '%dx%d ' $((run * $1 * 60)) $(($1 / 5 - 1))
        run=$((run + 1))
    done
}

# The tests for an interval of $1 minutes.
tests() {
    i=$1
    # When what the last of four runs said is too old: two intervals, or an hour.
    stale=$((3 * i + (2 * i > 60 ? 2 * i : 60)))
    # How long after the last sample what it said counts.
    known=$((2 * i + 60 > 120 ? 2 * i + 60 : 120))
    series='{registry="r.example", instance="a", job="p"}'
    cat <<END
rule_files: [rules.yaml]
evaluation_interval: $((i > 60 ? 5 : 1))m
tests:
  - name: runs in time are quiet
    interval: 5m
    input_series:
      - {series: 'registry_manifest_integrity_last_run_timestamp$series', values: '$(runs "$i" 6)'}
      - {series: 'registry_manifest_integrity_last_complete_timestamp_seconds$series', values: '$(runs "$i" 6)'}
      - {series: 'registry_manifest_integrity_catalog_accessible$series', values: '1x$((6 * i / 5))'}
    alert_rule_test:
$(for eval in $((i - 1)) $((2 * i - 1)) $((5 * i - 1)); do
    printf '      - {alertname: RegistryIntegrityProbeStale, eval_time: %dm, exp_alerts: []}\n' "$eval"
done)
  - name: the probe ends after four runs
    interval: 5m
    input_series:
      - {series: 'registry_manifest_integrity_last_run_timestamp$series', values: '$(runs "$i" 4) $((3 * i * 60))x$((4 * i / 5 + 30))'}
      - {series: 'registry_manifest_integrity_last_complete_timestamp_seconds$series', values: '$(runs "$i" 4) $((3 * i * 60))x$((4 * i / 5 + 30))'}
    promql_expr_test:
      - expr: count(ALERTS{alertname="RegistryIntegrityProbeStale", alertstate="firing"})
        eval_time: $((stale + 14))m
        exp_samples: []
      - expr: count(ALERTS{alertname="RegistryIntegrityProbeStale", alertstate="firing"})
        eval_time: $((stale + 21))m
        exp_samples: [{labels: '{}', value: 1}]
  - name: one run sees a failure, and the next one does not
    interval: 5m
    input_series:
      - {series: 'registry_manifest_integrity_last_run_timestamp$series', values: '$(runs "$i" 4)'}
      - {series: 'registry_manifest_integrity_last_complete_timestamp_seconds$series', values: '$(runs "$i" 4)'}
      - {series: 'registry_manifest_integrity_failures{registry="r.example", repository="app", instance="a", job="p"}', values: '0x$((i / 5 - 1)) 1x$((i / 5 - 1)) 0x$((2 * i / 5 - 1))'}
    alert_rule_test:
$(for eval in $((i + 45)) $((2 * i + 5)) $((2 * i + 45)) $((3 * i + 20)); do
    printf '      - {alertname: RegistryManifestIntegrityFailure, eval_time: %dm, exp_alerts: []}\n' "$eval"
done)
  - name: two runs see a failure, and a third
    interval: 5m
    input_series:
      - {series: 'registry_manifest_integrity_last_run_timestamp$series', values: '$(runs "$i" 5)'}
      - {series: 'registry_manifest_integrity_last_complete_timestamp_seconds$series', values: '$(runs "$i" 5)'}
      - {series: 'registry_manifest_integrity_failures{registry="r.example", repository="app", instance="a", job="p"}', values: '0x$((i / 5 - 1)) 1x$((4 * i / 5))'}
    promql_expr_test:
      - expr: count(ALERTS{alertname="RegistryManifestIntegrityFailure", alertstate="firing"})
        eval_time: $((2 * i + 41))m
        exp_samples: [{labels: '{}', value: 1}]
      # It does not end between runs.
      - expr: count(ALERTS{alertname="RegistryManifestIntegrityFailure", alertstate="firing"})
        eval_time: $((4 * i + 41 < 5 * i ? 4 * i + 41 : 5 * i - 1))m
        exp_samples: [{labels: '{}', value: 1}]
  - name: a failure is known for as long as it takes to tell that the probe is gone
    interval: 5m
    input_series:
      - {series: 'registry_manifest_integrity_last_run_timestamp$series', values: '$(runs "$i" 4) stale'}
      - {series: 'registry_manifest_integrity_last_complete_timestamp_seconds$series', values: '$(runs "$i" 4) stale'}
      - {series: 'registry_manifest_integrity_failures{registry="r.example", repository="app", instance="a", job="p"}', values: '0x$((i / 5 - 1)) 1x$((3 * i / 5 - 1)) stale'}
    promql_expr_test:
      - expr: count(ALERTS{alertname="RegistryManifestIntegrityFailure", alertstate="firing"})
        eval_time: $((4 * i - 15 + known))m
        exp_samples: [{labels: '{}', value: 1}]
      - expr: count(ALERTS{alertname="RegistryIntegrityProbeStale", alertstate="firing"})
        eval_time: $((4 * i - 15 + known))m
        exp_samples: [{labels: '{}', value: 1}]
  - name: two runs in a row cannot list the catalog
    interval: 5m
    input_series:
      - {series: 'registry_manifest_integrity_last_run_timestamp$series', values: '$(runs "$i" 5)'}
      - {series: 'registry_manifest_integrity_catalog_accessible$series', values: '1x$((i / 5 - 1)) 0x$((4 * i / 5))'}
    promql_expr_test:
      - expr: count(ALERTS{alertname="RegistryCatalogInaccessible", alertstate="firing"})
        eval_time: $((2 * i - 1))m
        exp_samples: []
      - expr: count(ALERTS{alertname="RegistryCatalogInaccessible", alertstate="firing"})
        eval_time: $((2 * i + 21 < 3 * i ? 2 * i + 21 : 3 * i + 21))m
        exp_samples: [{labels: '{}', value: 1}]
END
}

# 8 hours are the most that the chart takes.
for interval in 15 60 90 480 360; do
    rules "${interval}m" >"$scratch/rules.yaml"
    promtool check rules "$scratch/rules.yaml" >"$scratch/said" 2>&1 || { cat "$scratch/said" >&2; exit 1; }
    tests "$interval" >"$scratch/windows.test.yaml"
    promtool test rules "$scratch/windows.test.yaml" >"$scratch/said" 2>&1 || { cat "$scratch/said" >&2; exit 1; }
    printf '%sm: the windows are right\n' "$interval"
done

# However an interval is written.
rules 90m >"$scratch/minutes.yaml"
rules 1h30m | diff "$scratch/minutes.yaml" - || exit 1
printf '1h30m: as 90m\n'

# The same tests show that the windows of 15 minutes do not do for 6 hours.
rules 15m >"$scratch/rules.yaml"
if promtool test rules "$scratch/windows.test.yaml" >"$scratch/said" 2>&1; then
    printf 'the tests for 6 hours pass with the windows of 15 minutes, so they show nothing\n' >&2
    exit 1
fi
grep -q RegistryIntegrityProbeStale "$scratch/said" || { cat "$scratch/said" >&2; exit 1; }
printf '15m for 6h: fails, as it should\n'
