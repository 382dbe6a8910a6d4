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

# The overlays of this copy, from its chart.
rendered() {
    "$1/deploy/kustomize/render.sh" 2>"$scratch/said" || { cat "$scratch/said" >&2; fail "render.sh"; }
}

if [ "${1:-}" = --write ]; then
    rendered .
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
refused "/config/password': false" --set config.password=secret
refused "/config/deadline': false" --set mode=cronjob,config.deadline=1h
refused "webConfig/existingSecret" --set ingress.enabled=true,ingress.host=probe.example
# Deleting a default must not switch a check off.
refused "missing property 'existingSecret'" --set ingress.enabled=true,ingress.host=probe.example,webConfig.existingSecret=null
refused "missing property 'podMonitor'" --set serviceMonitor.enabled=true,podMonitor=null
refused "missing property 'mode'" --set mode=null
refused "networkPolicy/from': minItems" --set networkPolicy.enabled=true --set-json 'networkPolicy.from=[]'
refused "webConfig/existingSecret" --set service.type=LoadBalancer
refused "serviceMonitor/tlsConfig" --set serviceMonitor.enabled=true,webConfig.existingSecret=web
refused "podMonitor/tlsConfig" --set podMonitor.enabled=true,webConfig.existingSecret=web
refused "ingress/host" --set ingress.enabled=true,webConfig.existingSecret=web,ingress.host=https://probe.example
refused "podMonitor/enabled" --set serviceMonitor.enabled=true,podMonitor.enabled=true
refused "/mode" --set podMonitor.enabled=true,mode=cronjob
refused "/shards" --set shards=4
# A service would do nothing with these.
refused "/pushGateway" --set pushGateway=http://pushgateway.monitoring:9091
refused "/schedule" --set 'schedule=0 3 * * *'
refused "/deadline" --set deadline=1h
refused "/state/accessModes" --set mode=cronjob,shards=4,state.enabled=true,state.accessModes='{ReadWriteOncePod}'
refused "/commonLabels/app.kubernetes.io~1name': false" --set 'commonLabels.app\.kubernetes\.io/name=other'
refused "/podLabels/app.kubernetes.io~1component': false" --set 'podLabels.app\.kubernetes\.io/component=other'
refused "the chart has PROBE_LISTEN already" --set 'extraEnv[0].name=PROBE_LISTEN,extraEnv[0].value=x'
refused "no alert RegistryCoverageFall" --set prometheusRule.enabled=true,prometheusRule.disabled='{RegistryCoverageFall}'
refused "no alert RegistryCoverageFall" --set prometheusRule.enabled=true,prometheusRule.severities.RegistryCoverageFall=info
refused "/prometheusRule/for/RegistryCoverageFell" --set prometheusRule.enabled=true,prometheusRule.for.RegistryCoverageFell=3x
refused "'source_labels' not allowed" --set podMonitor.enabled=true --set-json 'podMonitor.relabelings=[{"source_labels":["pod"]}]'
refused "'server_name' not allowed" --set serviceMonitor.tlsConfig.server_name=probe.example
refused "/podMonitor/interval" --set podMonitor.enabled=true,podMonitor.interval=often
refused "missing property 'alertLabels'" --set prometheusRule.alertLabels=null
refused "/existingConfigSecret" --set existingConfigMap=a,existingConfigSecret=b
refused "/image/tag': got number" --set image.tag=1
refused "/image/tag" --set image.tag=v1@sha256
refused "/fullnameOverride" --set fullnameOverride=a-name-of-more-than-the-42-characters-it-may-have
refused "/fullnameOverride" --set fullnameOverride=Probe
refused "/image/registry" --set image.registry=https://registry.example
refused "/interval" --set interval=15
refused "does not divide" --set mode=cronjob,interval=7m
refused "look back one day" --set interval=12h,prometheusRule.enabled=true
refused "exclude each other" --set login.existingSecret=a,credentialHelpers.registries.b=c
refused "set credentialHelpers.image" --set credentialHelpers.registries.a=b
refused "nothing uses it" --set credentialHelpers.image=a
for gateway in http://u:p@gateway:9091 https://token@gateway; do
    refused "/pushGateway" --set mode=cronjob,pushGateway=$gateway
done
for proxy in http://u:p@proxy:3128 u:p@proxy:3128; do
    refused "/proxy/http'" --set proxy.http=$proxy
    refused "/proxy/https'" --set proxy.https=$proxy
done
refused "/externalUrl" --set mode=cronjob,externalUrl=https://probe.example
refused "/webConfig/existingSecret" --set mode=cronjob,webConfig.existingSecret=web
for file in caFile certFile keyFile; do
    refused "'$file' not allowed" --set serviceMonitor.tlsConfig.$file=/etc/a
    refused "'$file' not allowed" --set podMonitor.tlsConfig.$file=/etc/a
done
# An option that is there twice would end the probe.
refused "the chart has --interval already" --set extraArgs='{--interval=5m}'
refused "the chart has --interval already" --set extraArgs='{--interval,5m}'
refused "the chart has --listen already" --set extraArgs='{--listen=:1}'
refused "the chart has --state already" --set state.enabled=true,extraArgs='{--state=/a}'
refused "the chart has --once already" --set mode=cronjob,extraArgs='{--once}'
refused "the chart has --push-gateway already" --set mode=cronjob,pushGateway=http://a,extraArgs='{--push-gateway=http://b}'
refused "the chart has PROBE_INTERVAL already" --set 'extraEnv[0].name=PROBE_INTERVAL,extraEnv[0].value=5m'
refused "the chart has PROBE_FAIL_ON already" --set 'mode=cronjob,extraEnv[0].name=PROBE_FAIL_ON,extraEnv[0].value=x'
refused "/state/size" --set state.enabled=true,state.size=1GB
refused "networkPolicy/from/0': minProperties" --set networkPolicy.enabled=true --set-json 'networkPolicy.from=[{}]'
refused "/commonLabels/team" --set 'commonLabels.team=a team'
refused "/podLabels/team" --set podLabels.team=-a
refused "/ca/key" --set ca.existingConfigMap=a,ca.key=a/ca.crt
refused "missing property 'registries'" --set config.registries=null
refused "/imagePullSecrets/0/name" --set-json 'imagePullSecrets=[{"name":""}]'
refused "/prometheusRule/runbooks" --set prometheusRule.enabled=true,prometheusRule.runbooks=runbooks.example

# What the chart makes of values that are meant.
taken() {
    helm_says template "$@" || { cat "$scratch/said" >&2; fail "helm template $*"; }
}
has() {
    grep -q -e "$1" "$scratch/out" || { cat "$scratch/out" >&2; fail "the chart makes no line of: $1"; }
}
# The condition of a chart that depends on this one.
taken registry-probe "$chart" --set enabled=true
# Defaults can be deleted, as OpenShift, which chooses the numbers itself, needs it.
taken registry-probe "$chart" --set podSecurityContext.runAsUser=null,podSecurityContext.runAsGroup=null,podSecurityContext.fsGroup=null
if grep -E 'runAs(User|Group)|fsGroup' "$scratch/out"; then fail "podSecurityContext keeps what is null"; fi
# What looks like a number stays text.
taken 123 "$chart" --namespace 456 --set state.enabled=true --set-string priorityClassName=1,state.storageClass=1,state.size=1000000000,ca.existingConfigMap=1
for line in 'priorityClassName: "1"' 'storageClassName: "1"' 'storage: "1000000000"' 'instance: "123"' 'namespace: "456"' ' name: "1"'; do
    has "$line"
done
# Before Kubernetes 1.36 the name of a Service begins with a letter.
if grep -E '^  name: "?[0-9]' "$scratch/out"; then fail "a name begins with a digit"; fi
has '^  name: "r-123-registry-probe"'
if grep -E ': [0-9]+$' "$scratch/out" | grep -vE '(replicas|[pP]ort|Seconds|runAsUser|runAsGroup|fsGroup): '; then fail "a text is a number"; fi
taken registry-probe "$chart" --set-string fullnameOverride=null
if grep -E 'name: null$' "$scratch/out"; then fail "a text is nothing"; fi
# The programs of credentialHelpers can come by volumes, and the logins that use them by a Secret.
taken registry-probe "$chart" --set 'credentialHelpers.registries.a=b,extraVolumeMounts[0].name=c,extraVolumeMounts[0].mountPath=/d'
taken registry-probe "$chart" --set credentialHelpers.image=a,login.existingSecret=b
# Options that only begin as those of the chart do are others.
taken registry-probe "$chart" --set 'extraArgs={--state-of-others,-v},extraEnv[0].name=PROBE_STATE,extraEnv[0].value=/a'
taken registry-probe "$chart" --set mode=cronjob,pushGateway=https://gateway.example:9091/path,proxy.http=proxy:3128
# The configuration can be a Secret that is there, and then is nowhere else.
taken registry-probe "$chart" --set existingConfigSecret=of-others
has 'secretName: "of-others"'
if grep -e probe.yaml: -e checksum/config "$scratch/out"; then fail "the chart has a configuration beside that of a Secret"; fi
# Both kinds of monitors take all that a scrape can have.
for monitor in serviceMonitor podMonitor; do
    taken registry-probe "$chart" --set "$monitor.enabled=true,$monitor.metricRelabelings[0].action=drop,$monitor.relabelings[0].action=keep"
    has '^      metricRelabelings:'
    has '^      relabelings:'
done
has 'image: "registry'
# Arguments of sweeps are not those of doctor.
taken registry-probe "$chart" --set extraArgs='{--tags-per-repo=20}' --show-only templates/tests/doctor.yaml
if grep -e tags-per-repo "$scratch/out"; then fail "the pod of helm test takes the arguments of sweeps"; fi
# kustomize, which refuses a key that is there twice, takes the labels and annotations that people have.
taken registry-probe "$chart" --set commonLabels.release=prom,serviceMonitor.enabled=true,serviceMonitor.labels.release=prom \
    --set 'podAnnotations.prometheus\.io/scrape=no,podLabels.release=prom,commonLabels.app\.kubernetes\.io/version=x'
mkdir "$scratch/twice"
cp "$scratch/out" "$scratch/twice/rendered.yaml"
printf 'resources: [rendered.yaml]\n' >"$scratch/twice/kustomization.yaml"
kustomize build "$scratch/twice" >"$scratch/out" || fail "a key is there twice"
has 'prometheus.io/scrape: "no"'

# What is generated.
cp -R deploy alerts dashboards "$scratch"
rendered "$scratch"
"$scratch/$chart/readme.sh"
for directory in deploy/kustomize "$chart"; do
    diff -r -u "$directory" "$scratch/$directory" || fail "$directory is out of date: run deploy/check.sh --write"
done
for kustomization in deploy/kustomize/overlays/* deploy/kustomize/namespace deploy/kustomize/example dashboards; do
    kustomize build "$kustomization" >"$scratch/out" || fail "kustomize build $kustomization"
done

# All that is published can have another name, which leaves no old one, and the old one again, which leaves no trace.
names=$scratch/names
mkdir "$names"
git ls-files -z | tar --create --null --files-from=- | tar --extract --directory "$names"
cp -R "$names" "$scratch/before"
git -C "$names" init --quiet
git -C "$names" add --all
git -C "$names" -c user.name=check -c user.email=check@localhost commit --quiet --message names
rename() {
    for pair in "$@"; do "$names/deploy/names.sh" set "$pair" >"$scratch/out" || fail "deploy/names.sh set $pair"; done
}
old=$(grep -v '^#' deploy/names)
rename repository=https://forge.test/a/b image=images.test:5000/a/b chart=charts.test/a/c contact=a@mail.test version=8.7.6 \
    runbooks=https://forge.test/a/b/blob/main repository=https://other.test/c
sed -i "s/^## .*/## 8.7.6 (2027-01-31)/" "$names/CHANGELOG.md"
"$names/deploy/names.sh" || fail "deploy/names.sh set leaves old names"
grep -qx 'runbooks=https://other.test/c/blob/main' "$names/deploy/names" || fail "the runbooks are not where the repository is"
if git -C "$names" grep -nFI "$(printf '%s' "$old" | sed 's/^[a-z]*=//;/^[0-9.]*$/d')" -- . ':!tests' ':!*.snap'; then
    fail "deploy/names.sh set leaves these"
fi
# The name that cargo binstall asks for is that of the archive.
printf '#!/bin/sh\n' >"$scratch/probe"
chmod +x "$scratch/probe"
archive=$(SOURCE_DATE_EPOCH=0 "$names/deploy/package.sh" "$scratch/probe" m-v-s)
template=$(sed -n 's|^pkg-url = "{ repo }/releases/download/v{ version }/\(.*\)"$|\1|p' Cargo.toml)
binary=$(sed -n 's|^bin-dir = "\(.*\){ bin }{ binary-ext }"$|\1probe|p' Cargo.toml)
for wanted in "${archive##*/}:$template" "$(tar --list --file "$names/$archive" | grep '/probe$'):$binary"; do
    printf '%s\n' "${wanted#*:}" | sed 's/{ version }/8.7.6/g;s/{ target }/m-v-s/g' | grep -qxF "${wanted%%:*}" ||
        fail "cargo binstall asks for ${wanted#*:}, and deploy/package.sh makes ${wanted%%:*}"
done
# shellcheck disable=SC2046
rename $(printf '%s' "$old" | sed '/^runbooks/d') "$(printf '%s' "$old" | grep '^runbooks')"
rm -rf "$names/.git" "$names/target"
cp CHANGELOG.md "$names/CHANGELOG.md"
diff -r --no-dereference "$scratch/before" "$names" >"$scratch/out" || { cat "$scratch/out" >&2; fail "deploy/names.sh set is not undone by itself"; }

# The workflows, and the example of one.
actionlint .github/workflows/*.yml deploy/ci/github-actions.yaml
printf 'deploy/check.sh: the chart, the overlays, the workflows and the names are right\n'
