#!/bin/sh
# Builds what the image is made of into DIRECTORY: the probe as a static binary, and the machine's roots
# of certificate authorities. PROBE_TARGET=aarch64-unknown-linux-musl builds for that target and not for this machine.
#
# Usage: deploy/build-static.sh DIRECTORY
set -eu
directory=${1:?usage: deploy/build-static.sh DIRECTORY}
mkdir -p "$directory"
directory=$(cd "$directory" && pwd)
cd "$(dirname "$0")/.."

# Only with a target that is named do flags leave build scripts and procedural macros alone, which
# cannot be linked statically.
target=${PROBE_TARGET:-$(rustc -vV | sed -n 's/^host: //p')}
RUSTFLAGS="${RUSTFLAGS:-} -C target-feature=+crt-static" \
    cargo build --locked --profile dist --bin probe --target "$target"

install -D -m 0755 "${CARGO_TARGET_DIR:-target}/$target/dist/probe" "$directory/probe"
install -D -m 0644 /etc/ssl/certs/ca-certificates.crt "$directory/etc/ssl/certs/ca-certificates.crt"
