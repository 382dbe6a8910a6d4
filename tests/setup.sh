#!/bin/sh
# Installs what `cargo test --test real` needs on a bare Debian 12, beside Rust and Go. Quick when everything is there already;
# fails, and says what is missing, when it cannot be had.
set -eu

# A package, and the programs that the tests take from it.
needs='
apache2-utils htpasswd
bsdutils script
buildah buildah
busybox busybox
chromium chromium
chromium-driver chromedriver
curl curl
docker-registry docker-registry
faketime faketime
golang-github-containers-common /etc/containers/policy.json
iproute2 ip
jq jq
kubernetes-client kubectl
libxml2-utils xmllint
microsocks microsocks
nginx nginx
openssl openssl
prometheus prometheus
prometheus promtool
prometheus-alertmanager amtool
prometheus-alertmanager prometheus-alertmanager
prometheus-pushgateway prometheus-pushgateway
python3-venv python3
skopeo skopeo
sqlite3 sqlite3
systemd systemd-analyze
tinyproxy-bin tinyproxy
zstd zstd
'

# What checks manifests, compose files and pipelines against schemas, which it brings along. It is no
# package of Debian's, so it lives in an environment of its own beside what is built; the tests look for
# it there.
checkers='kubernetes-validate==1.37.0 check-jsonschema==0.39.0'
tools=$(cd "$(dirname "$0")/.." && pwd)/target/tools

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
            [ "$1" = packages ] && printf '%s\n' "$package" || printf '%s\n' "$thing"
        fi
    done | sort -u | tr '\n' ' '
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
    as_root env DEBIAN_FRONTEND=noninteractive sh -c '
        # The tests start servers of their own, so those of the packages are kept from starting.
        policy=/usr/sbin/policy-rc.d
        if [ ! -e "$policy" ]; then
            trap "rm -f $policy" EXIT
            printf "#!/bin/sh\nexit 101\n" >"$policy"
            chmod +x "$policy"
        fi
        apt-get install -y -qq --no-install-recommends -o Dpkg::Use-Pty=0 "$@" >&2
    ' sh "$@"
}

# Makes the environment, or brings it to the version that is wanted.
install_checkers() {
    say "installing: $checkers"
    if ! python3 -m venv --clear "$tools"; then
        install_packages python3-venv
        /usr/bin/python3 -m venv --clear "$tools"
    fi
    # shellcheck disable=SC2086
    "$tools/bin/pip" install --quiet --disable-pip-version-check $checkers >&2
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

# What is installed is written down when it is complete.
if [ "$(cat "$tools/checkers" 2>/dev/null)" != "$checkers" ]; then
    install_checkers
    printf '%s\n' "$checkers" >"$tools/checkers"
fi

# Helm, kustomize and actionlint, beside them.
"$(dirname "$0")/../deploy/tools.sh" >/dev/null

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
