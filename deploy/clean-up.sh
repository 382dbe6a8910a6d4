#!/bin/sh
# Deletes manifests that no tag, and nothing in the clusters, leads to any more. docs/clean-up.md says how it is run.
#
#   REGISTRY=HOST[:PORT] STORAGE=DIR [URL=http://…] clean-up.sh registry   registry:2 or :3, beside its storage
#   OWNER=orgs/NAME PACKAGE=NAME clean-up.sh ghcr                          untagged versions in GHCR, by gh
#
# CONTEXTS names the clusters (of kubectl) that pull from there. Without DELETE=yes it only says what it would do. With it
# BATCH deletions (50) follow a check of what they would break.
set -eu

kind=${1-}
AGE=${AGE-1440} # in minutes: what is younger may be part of a push that is under way
BATCH=${BATCH-50}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export LC_ALL=C
repository=

stop() {
    echo "clean-up: $*; nothing was deleted" >&2
    exit 1
}

# Lines of REPOSITORY@DIGEST, and what it takes to delete it, if that is something else.
case $kind in
registry)
    : "${REGISTRY:?}" "${STORAGE:?}"
    URL=${URL-https://$REGISTRY}
    candidates() {
        (cd "$STORAGE/docker/registry/v2/repositories" &&
            find . -path '*/_manifests/revisions/*' -name link -mmin "+$AGE") >"$work/links" || return 1
        <"$work/links" sed -n 's|^\./\(.*\)/_manifests/revisions/\([a-z0-9]*\)/\([0-9a-f]*\)/link$|\1@\2:\3|p'
    }
    delete() {
        status=$(curl -sS -o "$work/answer" -w '%{http_code}' -X DELETE "$URL/v2/${1%@*}/manifests/${1#*@}") || return 1
        case $status in
        2?? | 404) ;; # Somebody else may have deleted it.
        *)
            echo "clean-up: the registry answers $status" >&2
            return 1
            ;;
        esac
    }
    ;;
ghcr)
    : "${OWNER:?}" "${PACKAGE:?}"
    REGISTRY=ghcr.io
    repository=$(echo "${OWNER#*/}/$PACKAGE" | tr '[:upper:]' '[:lower:]')
    versions="/$OWNER/packages/container/$(echo "$PACKAGE" | sed 's|/|%2F|g')/versions"
    candidates() {
        # As GNU's date understands it.
        before=$(date -u -d "$AGE minutes ago" +%Y-%m-%dT%H:%M:%SZ) || return 1
        gh api --paginate "$versions?per_page=100" --jq ".[]
            | select(.metadata.container.tags == [] and .updated_at < \"$before\")
            | \"$repository@\(.name) \(.id)\""
    }
    delete() {
        gh api -X DELETE "$versions/$2"
    }
    ;;
*)
    stop "say \`registry\` or \`ghcr\`"
    ;;
esac

# The list of what may go comes first: what is pushed from now on is not in it.
candidates >"$work/candidates" || stop "the manifests cannot be listed"
sort "$work/candidates" >"$work/sorted"

# What the clusters run, and what they may run next: the next start of a pod pulls by what its owner says.
set --
number=0
for context in ${CONTEXTS-}; do
    number=$((number + 1)) # The name of a context may hold anything.
    kubectl --context "$context" get --all-namespaces --output json \
        pods,deployments,statefulsets,daemonsets,cronjobs,jobs,replicasets >"$work/cluster-$number.json" ||
        stop "the cluster $context cannot be asked"
    set -- "$@" --images-from "$work/cluster-$number.json"
done

probe keep ${repository:+--repo "$repository"} "$@" "$REGISTRY" >"$work/keep" || stop "what must be kept is not known"
count=$(sed -n '$s/^# complete \([1-9][0-9]*\)$/\1/p' "$work/keep")
grep -v '^#' "$work/keep" | sort >"$work/kept"
if [ -z "$count" ] || [ "$count" != "$(wc -l <"$work/kept" | tr -d ' ')" ]; then
    stop "the list of what must be kept is empty or not complete"
fi

# Of the candidates, those that are not kept. A repository of which nothing is kept may be one that the registry did not
# list, so nothing is deleted there; nor where a tag or an index is lost: what it named may be there, and is not kept.
sed -n 's/^# lost \([^:@]*\).*/\1/p' "$work/keep" >"$work/lost"
cut -d ' ' -f 1 "$work/sorted" | sort -u | awk -F @ '
    FILENAME == ARGV[1] { lost[$1] = 1; next }
    FILENAME == ARGV[2] { named[$1] = 1; next }
    $1 in named && !($1 in lost)' "$work/lost" "$work/kept" - >"$work/all"
comm -23 "$work/all" "$work/kept" >"$work/delete"
if [ ! -s "$work/delete" ]; then
    echo "clean-up: there is nothing to delete; $count manifests are kept"
    exit 0
fi
# Tags that were pushed meanwhile may lead to what was about to go.
check() {
    list=$1
    shift
    probe keep --check "$list" "$@" "$REGISTRY" >"$work/check" || {
        cat "$work/check" >&2
        return 1
    }
}
check "$work/delete" "$@" || stop "these deletions would break something, or that is not known"
if [ "${DELETE-}" != yes ]; then
    cat "$work/delete"
    echo "clean-up: these would be deleted with DELETE=yes; $count manifests are kept"
    exit 0
fi
join "$work/sorted" "$work/delete" >"$work/deletions"
split -a 6 -l "$BATCH" "$work/deletions" "$work/batch."
for batch in "$work"/batch.*; do
    # A push may have come in while those before were deleted.
    cut -d ' ' -f 1 "$batch" >"$work/next"
    check "$work/next" "$@" || {
        echo "clean-up: the next deletions would break something, or that is not known: none of them was made" >&2
        exit 1
    }
    while read -r name id; do
        delete "$name" "$id" || {
            echo "clean-up: $name could not be deleted, and nothing after it was" >&2
            exit 1
        }
        echo "deleted $name"
    done <"$batch"
done
