#!/bin/sh
# Holds every address and version in this repository to the ones in deploy/names.
#
# Usage: deploy/names.sh                              fails where something else stands
#        deploy/names.sh set image=HOST/NAME …        writes others everywhere, and into deploy/names
set -eu
cd "$(dirname "$0")/.."
export LC_ALL=C

# The value of a name.
of() {
    sed -n "s/^$1=//p" deploy/names
}

# The files that name any of them: all but images, what is recorded, and what may have any names. Links are left out, which
# sed would replace by copies.
files() {
    git ls-files --stage -- . ':!*.png' ':!*.snap' ':!fuzz/corpus' ':!tests' \
        ':!deploy/names' ':!deploy/names.sh' ':!deploy/check.sh' |
        sed -n 's/^100.*\t//p'
}

# What stands before a version of this project.
versioned='(registry-probe:|registry-probe-|[ /]probe-|verify@v|download/v|--version |newTag: |appVersion: )'

# A text as a pattern: a point is a point.
pattern() {
    printf '%s' "$1" | sed 's/\./\\./g'
}

fail() {
    printf 'deploy/names.sh: %s\n' "$*" >&2
    exit 1
}

check() {
    version=$(of version)
    # A registry's, a repository's or the runbooks' address, up to the name.
    found=$(files | xargs grep -nEIo '(https://)?[a-z0-9.-]+\.example(:[0-9]+)?(/[a-z0-9-]+)*/registry-probe' |
        grep -vE ":($(of repository)|$(of runbooks)|$(of image)|$(of chart))\$") || true
    [ -z "$found" ] || fail "not one of the addresses in deploy/names:
$found"
    for name in repository runbooks image chart contact; do
        files | xargs grep -qFI "$(of $name)" || fail "$name=$(of $name) stands nowhere"
    done
    # A version behind a name, in manifests and documents alike.
    found=$(files | xargs grep -nEIo "${versioned}[0-9]+\.[0-9]+\.[0-9]+" | grep -vE "[^0-9]$(pattern "$version")\$") || true
    [ -z "$found" ] || fail "not version $version:
$found"
    for line in "Cargo.toml:version = \"$version\"" "deploy/charts/registry-probe/Chart.yaml:version: $version" \
        "deploy/charts/registry-probe/Chart.yaml:appVersion: $version" \
        "deploy/ci/verify/action.yml:    default: \"$version\"" "Cargo.toml:repository = \"$(of repository)\""; do
        grep -qxF "${line#*:}" "${line%%:*}" || fail "${line%%:*} has no line: ${line#*:}"
    done
    for lock in Cargo.lock fuzz/Cargo.lock; do
        grep -xA1 'name = "registry-probe"' "$lock" | grep -qx "version = \"$version\"" ||
            fail "$lock is of another version than $version"
    done
    grep -qE "^## $version( |\$)" CHANGELOG.md || fail "CHANGELOG.md has nothing about $version"
}

# Writes $new for $old in every file, and in deploy/names, where the runbooks' address may begin with the repository's.
everywhere() {
    { files && echo deploy/names; } | xargs grep -lFI "$old" | xargs sed -i "s|$pattern|$new|g"
}

# Writes another value wherever the old one stands.
set_one() {
    name=${1%%=*} new=${1#*=}
    old=$(of "$name")
    [ -n "$old" ] && [ -n "$new" ] || fail "no such name, or no value: $1"
    pattern=$(pattern "$old")
    case $name in
        version)
            # The new part of the changelog is opened by hand.
            sed -i "s/^version = \"$pattern\"/version = \"$new\"/" Cargo.toml
            sed -i "/^name = \"registry-probe\"\$/{n;s/^version = .*/version = \"$new\"/}" Cargo.lock fuzz/Cargo.lock
            files | grep -vE '^(CHANGELOG.md|(fuzz/)?Cargo.lock)$' | xargs grep -lEI "$versioned$pattern" |
                xargs sed -i -E "s/$(printf '%s' "$versioned" | sed 's/\//\\\//g')$pattern/\\1$new/g"
            sed -i "s/^version: $pattern\$/version: $new/" deploy/charts/registry-probe/Chart.yaml
            sed -i "s/default: \"$pattern\"/default: \"$new\"/" deploy/ci/verify/action.yml
            sed -i "s/^version=.*/version=$new/" deploy/names
            ;;
        image)
            everywhere
            # The chart has the host by itself.
            sed -i "/^image:/,/^  tag:/{s|^  registry: .*|  registry: ${new%%/*}|;s|^  repository: .*|  repository: ${new#*/}|;}" \
                deploy/charts/registry-probe/values.yaml
            ;;
        *) everywhere ;;
    esac
}

case ${1:-check} in
    check) check ;;
    set)
        shift
        [ $# -gt 0 ] || fail "usage: deploy/names.sh set NAME=VALUE …"
        for pair in "$@"; do set_one "$pair"; done
        printf 'Now run: deploy/check.sh --write\n'
        ;;
    *) fail "usage: deploy/names.sh [set NAME=VALUE …]" ;;
esac
