#!/bin/sh
# Puts the clients that the differential test asks where it finds them: skopeo is installed, containerd
# lies under target/clients, unpacked from Debian's package and not installed.
set -eu

clients=$(cd "$(dirname "$0")/../.." && pwd)/target/clients

say() {
    printf 'tests/differential/clients.sh: %s\n' "$*" >&2
}

if ! command -v skopeo >/dev/null 2>&1; then
    say "skopeo is missing: tests/setup.sh installs it"
    exit 1
fi
if [ ! -x "$clients/usr/bin/ctr" ]; then
    say "fetching containerd"
    rm -rf "$clients"
    mkdir -p "$clients"
    cd "$clients"
    apt-get download -qq containerd
    dpkg-deb -x containerd_*.deb .
fi
say "$(skopeo --version), $("$clients/usr/bin/containerd" --version)"
