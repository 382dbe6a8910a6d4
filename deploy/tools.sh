#!/bin/sh
# Installs the programs that check charts, overlays and workflows into target/go-tools, with Go, and prints that directory.
# Quick where they are there already; fails where one cannot be had.
set -eu
cd "$(dirname "$0")/.."
tools='
helm.sh/helm/v3/cmd/helm@v3.22.0
sigs.k8s.io/kustomize/kustomize/v5@v5.7.1
github.com/rhysd/actionlint/cmd/actionlint@v1.7.12'
# Helm renders for this Kubernetes where it asks none. Built without, it takes 1.20 for granted, which the chart refuses.
flags='-X helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=1 -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=37'
directory=$PWD/target/go-tools

if [ "$(cat "$directory/installed" 2>/dev/null)" != "$tools$flags" ]; then
    if ! command -v go >/dev/null; then
        printf 'deploy/tools.sh: Go is needed to install:%s' "$tools" >&2
        exit 1
    fi
    mkdir -p "$directory"
    for tool in $tools; do
        printf 'deploy/tools.sh: installing %s\n' "$tool" >&2
        GOBIN=$directory go install -ldflags "$flags" "$tool" >&2
    done
    printf '%s' "$tools$flags" >"$directory/installed"
fi
printf '%s\n' "$directory"
