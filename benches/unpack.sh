#!/usr/bin/env bash
# The probe at depth `unpack` against the pipe that does the same by hand: one layer of gzip, from one server, read, hashed,
# unpacked and hashed again. Prints the medians, their ratio, and the most memory that the probe had. Also a bomb: zeros,
# packed a thousand times, which has to be left out in time.
#
# Usage: unpack.sh, with PROBE (a path), SIZE (MiB that the layer unpacks to, default 10240: about 5 GB of gzip), BOMB
# (MiB, default 10240), ROUNDS (default 3) and PROBE_TEST_REGISTRY (default docker-registry) in the environment
set -euo pipefail

probe=${PROBE:?PROBE is the path of the probe}
size=${SIZE:-10240} bomb=${BOMB:-10240} rounds=${ROUNDS:-3}
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
registry=${PROBE_TEST_REGISTRY:-docker-registry}
for program in curl jq openssl pigz sha256sum tar "$registry"; do
    command -v "$program" >/dev/null || {
        printf 'benches/unpack.sh: needs %s\n' "$program" >&2
        exit 1
    }
done

folder=$(mktemp -d)
server=
trap '[[ -z $server ]] || kill "$server"; rm -rf "$folder"' EXIT
root=$folder/store/docker/registry/v2

# Puts a file where the registry keeps it, and prints its digest.
keep() {
    local digest
    digest=$(sha256sum <"$2" | cut -d' ' -f1)
    mkdir -p "$root/blobs/sha256/${digest:0:2}/$digest" "$root/repositories/$1/_layers/sha256/$digest"
    mv "$2" "$root/blobs/sha256/${digest:0:2}/$digest/data"
    printf 'sha256:%s' "$digest" | tee "$root/repositories/$1/_layers/sha256/$digest/link"
}

# The size of what is kept under a digest.
length() {
    stat -c %s "$root/blobs/sha256/${1:7:2}/${1:7}/data"
}

# Makes an image of one layer, $folder/layer, that unpacks to this diff_id, and prints the layer's digest.
image() {
    local name=$1 diff_id=$2 layer config manifest
    layer=$(keep "$name" "$folder/layer")
    jq -n --arg it "$diff_id" '{os: "linux", architecture: "amd64", rootfs: {type: "layers", diff_ids: [$it]}}' \
        >"$folder/config"
    config=$(keep "$name" "$folder/config")
    jq -n --arg config "$config" --argjson config_size "$(length "$config")" \
        --arg layer "$layer" --argjson layer_size "$(length "$layer")" '
        "application/vnd.oci.image." as $of | {schemaVersion: 2, mediaType: ($of + "manifest.v1+json"),
        config: {mediaType: ($of + "config.v1+json"), digest: $config, size: $config_size},
        layers: [{mediaType: ($of + "layer.v1.tar+gzip"), digest: $layer, size: $layer_size}]}' >"$folder/manifest"
    manifest=$(keep "$name" "$folder/manifest")
    local manifests=$root/repositories/$name/_manifests
    for link in "revisions/sha256/${manifest:7}" tags/v1/current "tags/v1/index/sha256/${manifest:7}"; do
        mkdir -p "$manifests/$link"
        printf '%s' "$manifest" >"$manifests/$link/link"
    done
    printf '%s' "$layer"
}

# An archive of one file that is half noise and half zeros, so that gzip halves it.
content() {
    head -c $((size << 19)) /dev/zero | openssl enc -aes-128-ctr -pass pass:bench -nosalt -pbkdf2
    head -c $((size << 19)) /dev/zero
}
# GNU tar takes a file's length from the file.
mkfifo "$folder/pipe"
content >"$folder/file"
(cd "$folder" && tar -cf - file) | tee "$folder/pipe" | pigz -1 >"$folder/layer" &
packs=$!
diff_id=sha256:$(sha256sum <"$folder/pipe" | cut -d' ' -f1)
wait "$packs"
rm "$folder/file"
layer=$(image app "$diff_id")

# A member of 1 MiB of zeros, again and again.
head -c 1048576 /dev/zero | pigz -9 >"$folder/member"
for ((member = 0; member < bomb; member++)); do cat "$folder/member"; done >"$folder/layer"
image bomb "sha256:$(printf '' | sha256sum | cut -d' ' -f1)" >/dev/null

port=$((20000 + RANDOM % 10000))
cat >"$folder/config.yml" <<END
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: $folder/store}}
http: {addr: "127.0.0.1:$port"}
END
"$registry" serve "$folder/config.yml" >"$folder/log" 2>&1 &
server=$!
for ((attempt = 0; attempt < 100; attempt++)); do
    curl -sf "http://127.0.0.1:$port/v2/" >/dev/null && break
    sleep 0.1
done

# Seconds that a command takes.
seconds() {
    local began=$EPOCHREALTIME
    "$@"
    awk -v from="$began" -v to="$EPOCHREALTIME" 'BEGIN {printf "%.2f\n", to - from}'
}

by_hand() {
    curl -sf "http://127.0.0.1:$port/v2/app/blobs/$layer" | tee >(sha256sum >/dev/null) | pigz -dc | sha256sum >/dev/null
}

# Sweeps a repository, and notes the peak of its memory in KiB.
sweep() {
    "$probe" --once --output json --depth unpack --repo "$1" --unpack-max-bytes 1TB "http://127.0.0.1:$port" >"$folder/report" &
    local it=$!
    while peak=$(awk '/^VmHWM/ {print $2}' "/proc/$it/status" 2>/dev/null) && [[ -n $peak ]]; do
        printf '%s\n' "$peak" >"$folder/peak"
        sleep 0.05
    done
    wait "$it"
}

median() {
    sort -n | sed -n "$(((rounds + 1) / 2))p"
}

for ((round = 0; round < rounds; round++)); do
    seconds by_hand >>"$folder/hand"
    seconds sweep app >>"$folder/probe"
done
[[ $(jq -r '.verdict' "$folder/report") == intact && $(jq '.skipped // {} | length' "$folder/report") == 0 ]]
hand=$(median <"$folder/hand") own=$(median <"$folder/probe")
printf '%s MB of gzip, medians of %s: by hand %s s, probe %s s, rate of the probe %s of that by hand, %s MiB\n' \
    "$(($(length "$layer") / 1000000))" "$rounds" "$hand" "$own" \
    "$(awk -v hand="$hand" -v own="$own" 'BEGIN {printf "%.2f", hand / own}')" "$(($(<"$folder/peak") >> 10))"
took=$(seconds sweep bomb)
printf 'a bomb of %s MiB: %s s, %s MiB, verdict %s, skipped %s\n' "$bomb" "$took" "$(($(<"$folder/peak") >> 10))" \
    "$(jq -r '.verdict' "$folder/report")" "$(jq -c '.skipped' "$folder/report")"
