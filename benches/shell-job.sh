#!/usr/bin/env bash
# The requests of a typical shell job that checks a registry, one curl and one jq at a time: the baseline of
# the benchmark. It trusts any certificate, reads one page of the catalog, the first tags of each repository,
# their manifests, and one level of children; it never asks for a config or a layer. For comparison only.
#
# Usage: shell-job.sh REGISTRY-URL, with TAGS_PER_REPO in the environment (default 5)
set -euo pipefail

registry=${1:?usage: shell-job.sh REGISTRY-URL}
registry=${registry%/}
tags_per_repo=${TAGS_PER_REPO:-5}

accept='application/vnd.oci.image.index.v1+json,'
accept+='application/vnd.oci.image.manifest.v1+json,'
accept+='application/vnd.docker.distribution.manifest.list.v2+json,'
accept+='application/vnd.docker.distribution.manifest.v2+json'

children_of_an_index='
    select(.mediaType == "application/vnd.oci.image.index.v1+json"
        or .mediaType == "application/vnd.docker.distribution.manifest.list.v2+json")
    | .manifests[].digest'

body=$(mktemp)
trap 'rm -f "$body"' EXIT

repositories=0 tags=0 children=0 failures=0

# The body of a GET, nothing when it fails: as such jobs do, a failed list counts as an empty one.
list() {
    curl --silent --insecure --fail --max-time 10 "$registry/v2/$1" || true
}

# The status of a request; further arguments are options of curl.
status() {
    local path=$1
    shift
    curl --silent --insecure --max-time 10 --output "$body" --write-out '%{http_code}' \
        --header "Accept: $accept" "$@" "$registry/v2/$path" || true
}

check_tag() {
    local repository=$1 tag=$2 digest digests
    tags=$((tags + 1))
    if [[ $(status "$repository/manifests/$tag") != 200 ]]; then
        failures=$((failures + 1))
        return
    fi
    mapfile -t digests < <(jq --raw-output "$children_of_an_index" "$body")
    for digest in "${digests[@]}"; do
        children=$((children + 1))
        if [[ $(status "$repository/manifests/$digest" --head) != 200 ]]; then
            failures=$((failures + 1))
        fi
    done
}

while read -r repository; do
    repositories=$((repositories + 1))
    while read -r tag; do
        check_tag "$repository" "$tag"
    done < <(list "$repository/tags/list" | jq --raw-output ".tags // [] | .[:$tags_per_repo][]")
done < <(list '_catalog?n=1000' | jq --raw-output '.repositories[]')

printf 'repositories=%d tags=%d children=%d failures=%d\n' \
    "$repositories" "$tags" "$children" "$failures"
