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
