#!/bin/sh
# Checks the chart, the overlays that are rendered from it, the workflows, and the names of what is published, without a
# cluster. `deploy/check.sh --write` writes what is generated first.
set -eu
cd "$(dirname "$0")/.."
PATH=$(deploy/tools.sh):$PATH
export PATH
chart=deploy/charts/registry-probe
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

fail() {
    printf 'deploy/check.sh: %s\n' "$*" >&2
    exit 1
}

# Helm, without its note on each file of the chart that is a link. What it says goes to $scratch/said.
helm_says() {
    code=0
    helm "$@" >"$scratch/out" 2>"$scratch/err" || code=$?
    grep -v 'found symbolic link in path' "$scratch/err" >"$scratch/said" || true
    return "$code"
}

if [ "${1:-}" = --write ]; then
    deploy/kustomize/render.sh 2>/dev/null
    "$chart/readme.sh"
fi

deploy/names.sh

# The chart, with its own values and with those of each example, which the README names.
helm_says lint --strict "$chart" || { cat "$scratch/out" "$scratch/said" >&2; fail "helm lint"; }
for values in "$chart"/examples/*.yaml; do
    helm_says lint --strict "$chart" --values "$values" || { cat "$scratch/out" >&2; fail "helm lint with $values"; }
    helm_says template registry-probe "$chart" --values "$values" || { cat "$scratch/said" >&2; fail "helm template with $values"; }
    grep -q "(examples/${values##*/})" "$chart/README.md" || fail "the chart's README does not name $values"
done

# What the chart refuses, and why.
refused() {
    why=$1
    shift
    if helm_says template registry-probe "$chart" "$@"; then fail "the chart takes $*"; fi
    grep -q "$why" "$scratch/said" || { cat "$scratch/said" >&2; fail "the chart refuses $* for another reason than: $why"; }
}
refused "additional properties 'replicas' not allowed" --set replicas=2
refused "additional properties 'tagg' not allowed" --set image.tagg=1
refused "additional properties 'password' not allowed" --set login.password=secret
refused "propertyName" --set config.password=secret
refused "webConfig/existingSecret" --set ingress.enabled=true,ingress.host=probe.example
refused "podMonitor/enabled" --set serviceMonitor.enabled=true,podMonitor.enabled=true
refused "/mode" --set podMonitor.enabled=true,mode=cronjob
refused "/shards" --set shards=4
refused "/interval" --set interval=15
refused "does not divide" --set mode=cronjob,interval=7m
refused "look back one day" --set interval=12h,prometheusRule.enabled=true
refused "exclude each other" --set login.existingSecret=a,credentialHelpers.registries.b=c

# What is generated.
cp -R deploy alerts dashboards "$scratch"
"$scratch/deploy/kustomize/render.sh" 2>/dev/null
"$scratch/$chart/readme.sh"
for directory in deploy/kustomize "$chart"; do
    diff -r -u "$directory" "$scratch/$directory" || fail "$directory is out of date: run deploy/check.sh --write"
done
for kustomization in deploy/kustomize/overlays/* deploy/kustomize/namespace deploy/kustomize/example dashboards; do
    kustomize build "$kustomization" >"$scratch/out" || fail "kustomize build $kustomization"
done

# The workflows, and the example of one.
actionlint .github/workflows/*.yml deploy/ci/github-actions.yaml
printf 'deploy/check.sh: the chart, the overlays, the workflows and the names are right\n'
