#!/bin/sh
# Writes prometheus-rule.yaml, which holds the groups of the plain files for the Prometheus operator.
set -eu
cd "$(dirname "$0")"
{
    cat <<'HEAD'
# Written by prometheus-rule.sh from the files beside it: change those.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: registry-integrity
  labels:
    app.kubernetes.io/name: registry-probe
spec:
  groups:
HEAD
    for file in registry-integrity.rules.yaml registry-integrity-more.rules.yaml; do
        # What follows `groups:`, one level deeper; comments on top of a file stay there.
        sed -e '1,/^groups:$/d' -e 's/^\(.\)/  \1/' "$file"
    done
} >prometheus-rule.yaml
