#!/bin/sh
# Writes objects.yaml of each overlay from the chart and the values beside it. Needs helm.
set -eu
cd "$(dirname "$0")"
for values in overlays/*/values.yaml; do
    overlay=$(dirname "$values")
    only=
    # What this adds to the deployment.
    [ "$overlay" = overlays/prometheus-operator ] && only=--show-only=templates/monitors.yaml
    # What fails here must not leave an overlay without objects.
    rendered=$(helm template registry-probe ../charts/registry-probe --namespace registry-probe \
        --values values.yaml --values "$values" ${only:+"$only"} --skip-tests)
    {
        printf '# Written by ../../render.sh from the chart and values.yaml: change those.\n'
        # Without the labels and comments by which Helm knows what is its own.
        printf '%s\n' "$rendered" |
            sed -e '/^# Source: /d' -e '/helm.sh\/chart: /d' -e '/managed-by: Helm$/d' -e '/app.kubernetes.io\/version: /d'
    } >"$overlay/objects.new"
    mv "$overlay/objects.new" "$overlay/objects.yaml"
done
