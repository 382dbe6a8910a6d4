#!/bin/sh
# Gathers in target/package what archives and packages are made of, from a binary of the probe that is built already, and makes
# the archive of a release: target/package/probe-VERSION-TARGET.tar.gz.
#
# Usage: deploy/package.sh PROBE TARGET [RUNNER]
#
# RUNNER runs the probe where it is for another machine, such as qemu-aarch64; its pages and completions are written by itself.
set -eu
probe=${1:?usage: deploy/package.sh PROBE TARGET [RUNNER]}
target=${2:?usage: deploy/package.sh PROBE TARGET [RUNNER]}
probe=$(cd "$(dirname "$probe")" && pwd)/$(basename "$probe")
cd "$(dirname "$0")/.."
version=$(sed -n 's/^version=//p' deploy/names)
package=target/package

# The build's own variables are no options of the probe.
unset PROBE_TARGET PROBE_REVISION
rm -rf "$package"
mkdir -p "$package/man"
install -m 0755 "$probe" "$package/probe"
run() {
    ${runner:+"$runner"} "$package/probe" "$@"
}
runner=${3:-}
run man "$package/man"
run completions bash >"$package/probe.bash"
run completions zsh >"$package/_probe"
run completions fish >"$package/probe.fish"

name=probe-$version-$target
mkdir "$package/$name"
cp -R "$package/probe" "$package/man" "$package/probe.bash" "$package/_probe" "$package/probe.fish" \
    LICENSE-APACHE LICENSE-MIT README.md CHANGELOG.md deploy/systemd "$package/$name"
# The same files make the same archive.
tar --create --directory "$package" --sort=name --owner=0 --group=0 --numeric-owner \
    --mtime="@${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}" --format=gnu "$name" | gzip -n >"$package/$name.tar.gz"
printf '%s\n' "$package/$name.tar.gz"
