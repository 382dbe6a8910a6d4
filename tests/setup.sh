#!/bin/sh
# Installs what `cargo test --test real` needs on a bare Debian 12. Quick when everything is there already;
# fails, and says what is missing, when it cannot be had.
set -eu

# A package, and the programs that the tests take from it.
needs='
apache2-utils htpasswd
bsdutils script
buildah buildah
chromium chromium
chromium-driver chromedriver
curl curl
docker-registry docker-registry
golang-github-containers-common /etc/containers/policy.json
jq jq
libxml2-utils xmllint
nginx nginx
openssl openssl
skopeo skopeo
'

# The programs of servers lie outside the path of ordinary users.
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

say() {
    printf 'tests/setup.sh: %s\n' "$*" >&2
}

# A program is on the path; a file is simply there.
is_there() {
    case $1 in
        /*) [ -e "$1" ] ;;
        *) command -v "$1" >/dev/null 2>&1 ;;
    esac
}

# The packages (or, with "things", the programs and files) that are not there yet.
missing() {
    printf '%s' "$needs" | while read -r package thing; do
        if [ -n "$package" ] && ! is_there "$thing"; then
            [ "$1" = packages ] && printf '%s ' "$package" || printf '%s ' "$thing"
        fi
    done
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif is_there sudo; then
        sudo "$@"
    else
        say "needs root to install packages: $*"
        exit 1
    fi
}

install_packages() {
    if ! is_there apt-get; then
        say "no apt-get here: install these by hand: $*"
        exit 1
    fi
    say "installing: $*"
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "$@" >&2
}

packages=$(missing packages)
if [ -n "$packages" ]; then
    # Package names hold no blanks.
    # shellcheck disable=SC2086
    install_packages $packages
fi

things=$(missing things)
if [ -n "$things" ]; then
    say "still missing after the installation: $things"
    exit 1
fi

# The tests hold docker-registry to what this series answers.
version=$(docker-registry --version)
case $version in
    *" 2.8."*) ;;
    *)
        say "docker-registry 2.8 is needed, not: $version"
        exit 1
        ;;
esac
say "everything is there ($version)"
