#!/bin/sh
# Builds what the image is made of into DIRECTORY: the probe as a static binary, and the machine's roots
# of certificate authorities. PROBE_TARGET=aarch64-unknown-linux-musl builds for that target and not for this machine,
# here with that Rust target and gcc-aarch64-linux-gnu, or on such a machine with musl-tools.
#
# Usage: deploy/build-static.sh DIRECTORY
set -eu
directory=${1:?usage: deploy/build-static.sh DIRECTORY}
mkdir -p "$directory"
directory=$(cd "$directory" && pwd)
cd "$(dirname "$0")/.."

# Only with a target that is named do flags leave build scripts and procedural macros alone, which
# cannot be linked statically.
host=$(rustc -vV | sed -n 's/^host: //p')
target=${PROBE_TARGET:-$host}
set --
if [ "${target%%-*}" != "${host%%-*}" ]; then
    # For another machine: Rust brings the C library and the linker. The cryptography has C, which calls nothing of a C
    # library; Debian's gcc-aarch64-linux-gnu compiles it.
    export TARGET_CC="${TARGET_CC:-${target%%-*}-linux-gnu-gcc}"
    set -- --config "target.$target.linker='rust-lld'"
fi
RUSTFLAGS="${RUSTFLAGS:-} -C target-feature=+crt-static" \
    cargo build --locked --profile dist --bin probe --target "$target" "$@"

install -D -m 0755 "${CARGO_TARGET_DIR:-target}/$target/dist/probe" "$directory/probe"
install -D -m 0644 /etc/ssl/certs/ca-certificates.crt "$directory/etc/ssl/certs/ca-certificates.crt"
