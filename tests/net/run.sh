#!/usr/bin/env bash
# The probe in networks as they are at others' sites: IPv6 only, behind an HTTP or a SOCKS proxy, with private authorities,
# with client certificates. In namespaces of its own, as root: `tests/net/run.sh PROBE`. Fails if they cannot be made.
set -euo pipefail
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
probe=$(realpath "${1:?the probe}")
work=$(mktemp -d)
password=pr0xy-pa55word
out=$work/out
mkdir "$out"
# Of the probe's side, and of the servers'.
client=probe-net-c-$$ server=probe-net-s-$$
started=()

finish() {
    local code=$?
    for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
    for space in "$client" "$server"; do
        ip netns delete "$space" 2>/dev/null || true
        rm -rf "/etc/netns/$space"
    done
    if [ "$code" -ne 0 ]; then
        tail -n 40 $(ls -t "$out"/* | head -1) "$work"/{nginx,gateway,openssl}.log >&2 || true
    fi
    rm -rf "$work"
    exit "$code"
}
trap finish EXIT

say() { printf 'test-net: %s\n' "$*"; }
fail() { say "FAILED: $*" >&2; exit 1; }
in_client() { ip netns exec "$client" "$@"; }
in_server() { ip netns exec "$server" "$@"; }

# Runs a server of the other side until the end: NAME COMMAND...
start() {
    local log=$work/$1.log
    shift
    ip netns exec "$server" "$@" >>"$log" 2>&1 &
    started+=($!)
}

# Waits until something holds.
until_true() {
    local what=$1
    shift
    for _ in $(seq ${PATIENCE:-600}); do
        if "$@" >/dev/null 2>&1; then return; fi
        sleep 0.1
    done
    fail "$what: never came true"
}

# --- The two sides. The registry is at an address to which only the servers' side has a way.

make_spaces() {
    for space in "$client" "$server"; do
        mkdir -p "/etc/netns/$space"
        : >"/etc/netns/$space/resolv.conf"
        printf '127.0.0.1 localhost\n::1 localhost\n' >"/etc/netns/$space/hosts"
        ip netns add "$space"
        ip -n "$space" link set lo up
    done
    ip -n "$client" link add to-server type veth peer name to-client netns "$server"
    ip -n "$client" address add 10.77.0.2/24 dev to-server
    ip -n "$client" address add fd77::2/64 dev to-server nodad
    ip -n "$server" address add 10.77.0.1/24 dev to-client
    ip -n "$server" address add fd77::1/64 dev to-client nodad
    ip -n "$server" address add 10.78.0.1/32 dev lo
    ip -n "$server" link set to-client up
    ip -n "$client" link set to-server up
    # The client knows names for what it reaches, the servers' side for what is inside.
    printf '10.77.0.1 near.test storage.test\nfd77::1 six.test\n10.78.0.1 known.test\n' >>"/etc/netns/$client/hosts"
    # Where a proxy is that stands on the client's own machine.
    printf '127.0.0.1 gate.test\n' >>"/etc/netns/$client/hosts"
    printf '10.77.0.1 near.test storage.test\n10.78.0.1 inside.test known.test\n' >>"/etc/netns/$server/hosts"
}

# --- Certificates. An authority with a key of CURVE, and what it signs.

authority() { # NAME CURVE
    openssl req -x509 -nodes -days 2 -subj "/CN=$1" -newkey ec -pkeyopt "ec_paramgen_curve:$2" \
        -addext basicConstraints=critical,CA:TRUE -keyout "$work/$1.key" -out "$work/$1.pem" 2>>"$work/openssl.log"
}
signed() { # NAME AUTHORITY CURVE USAGE
    openssl req -nodes -subj "/CN=$1" -newkey ec -pkeyopt "ec_paramgen_curve:$3" \
        -keyout "$work/$1.key" -out "$work/$1.csr" 2>>"$work/openssl.log"
    openssl x509 -req -in "$work/$1.csr" -CA "$work/$2.pem" -CAkey "$work/$2.key" -days 2 -out "$work/$1.pem" \
        -extfile <(printf 'extendedKeyUsage=%s\nsubjectAltName=DNS:near.test,DNS:storage.test,DNS:inside.test,DNS:known.test' "$4") \
        2>>"$work/openssl.log"
}

make_certificates() {
    authority p384 secp384r1
    signed server-p384 p384 secp384r1 serverAuth
    authority p521 secp521r1
    signed server-p521 p521 secp521r1 serverAuth
    authority clients prime256v1
    signed client clients prime256v1 clientAuth
    authority next-clients prime256v1
    signed next-client next-clients prime256v1 clientAuth
    openssl ec -in "$work/client.key" -out "$work/client-sec1.key" 2>>"$work/openssl.log"
    chmod 0400 "$work"/*.key
}

# --- The servers.

front() { # PORT CERTIFICATE [DIRECTIVE...]: TLS before the registry, and below /gateway before the Pushgateway
    local port=$1 certificate=$2
    shift 2
    cat <<EOF
    server {
        listen $port ssl;
        ssl_certificate $work/$certificate.pem;
        ssl_certificate_key $work/$certificate.key;
        access_log $work/access-$port.log shown;
        client_max_body_size 0;
        $*
        location / { proxy_pass http://10.78.0.1:5000; proxy_set_header Host \$http_host; }
        location /gateway/ { proxy_pass http://10.78.0.1:9091/; }
    }
EOF
}

write_nginx() { # the authority of clients
    local asked="ssl_verify_client on; ssl_client_certificate $work/$1.pem;"
    local offered="ssl_verify_client optional; ssl_client_certificate $work/$1.pem;"
    {
        cat <<EOF
pid $work/nginx.pid;
error_log $work/nginx.log;
user root;
events {}
http {
    log_format shown '\$ssl_client_verify \$request';
    client_body_temp_path $work/body;
    proxy_temp_path $work/proxy;
    fastcgi_temp_path $work/fastcgi;
    uwsgi_temp_path $work/uwsgi;
    scgi_temp_path $work/scgi;
EOF
        front 8384 server-p384
        front 8521 server-p521
        front 1384 server-p384 'ssl_protocols TLSv1.3;'
        front 1521 server-p521 'ssl_protocols TLSv1.3;'
        front 8443 server-p384 "$asked"
        front 8444 server-p384 "$asked" 'location ~ /blobs/ { return 307 https://storage.test:8445$request_uri; }'
        front 8445 server-p384 "$offered"
        front 8446 server-p384 'location ~ /blobs/ { return 307 https://gate.test:9999$request_uri; }'
        printf '}\n'
    } >"$work/nginx.conf"
}

start_servers() {
    cat >"$work/registry.yml" <<EOF
version: 0.1
storage: { filesystem: { rootdirectory: $work/store } }
http: { addr: ':5000', relativeurls: true }
EOF
    start registry docker-registry serve "$work/registry.yml"
    start gateway prometheus-pushgateway --web.listen-address=:9091
    write_nginx clients
    start nginx nginx -c "$work/nginx.conf" -g 'daemon off;'
    cat >"$work/tinyproxy.conf" <<EOF
Port 3128
Listen 10.77.0.1
Timeout 60
BasicAuth user $password
EOF
    start tinyproxy tinyproxy -d -c "$work/tinyproxy.conf"
    start microsocks microsocks -i 10.77.0.1 -p 1080 -u user -P "$password"
    until_true 'the registry is up' in_server curl -sf http://10.78.0.1:5000/v2/
    until_true 'the gateway is up' in_server curl -sf http://10.78.0.1:9091/-/ready
    until_true 'nginx is up' in_server curl -skf https://10.77.0.1:8384/v2/
}

# Pushes app:v1 as a client does.
push_image() {
    local registry=http://10.78.0.1:5000/v2/app
    upload() {
        local digest place
        digest=sha256:$(sha256sum "$1" | cut -d ' ' -f 1)
        place=$(in_server curl -sf -X POST -D - -o "$work/answer" "$registry/blobs/uploads/" |
            tr -d '\r' | sed -n 's/^[Ll]ocation: //p')
        in_server curl -sf -X PUT --data-binary "@$1" -H 'Content-Type: application/octet-stream' \
            "http://10.78.0.1:5000$place&digest=$digest" >>"$work/answer"
        printf '{"mediaType": "%s", "digest": "%s", "size": %s}' "$2" "$digest" "$(stat -c %s "$1")"
    }
    printf '{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' "$(printf '%064d' 0)" >"$work/config"
    head -c 100000 /dev/zero | gzip >"$work/layer"
    local oci=application/vnd.oci.image
    printf '{"schemaVersion": 2, "mediaType": "%s", "config": %s, "layers": [%s]}' "$oci.manifest.v1+json" \
        "$(upload "$work/config" "$oci.config.v1+json")" \
        "$(upload "$work/layer" "$oci.layer.v1.tar+gzip")" >"$work/manifest"
    in_server curl -sf -X PUT --data-binary "@$work/manifest" -H "Content-Type: $oci.manifest.v1+json" \
        "$registry/manifests/v1"
}

# --- What has to work everywhere.

# The environment of the probe, as NAME=VALUE.
environment=()
# Runs it on its side, in nobody's environment, and keeps what it said: CASE ARGUMENTS...
run() {
    local said=$out/$1
    shift
    in_client env -i HOME="$work/home" "${environment[@]}" "$probe" "$@" >>"$said" 2>&1
}
fails_with() { # CODE CASE ARGUMENTS...
    local code=0 expected=$1
    shift
    run "$@" || code=$?
    [ "$code" -eq "$expected" ] || fail "$1: exit $code, not $expected"
}
says() { # CASE WORDS
    tr -s ' \n' ' ' <"$out/$1" | grep -qF -- "$2" || fail "$1 does not say: $2"
}

# Whether a log has lines, and each begins so: LOG WORD WHAT_IF_NOT
all_are() {
    [ -s "$1" ] || fail "$1 is empty: $3, or nobody came"
    ! grep -v "^$2 " "$1" || fail "$3"
}

held_of() { in_server curl -sf http://10.78.0.1:9091/metrics | grep "tags_checked{.*instance=\"$1\""; }
served() { in_client curl -sf --noproxy '*' "http://$listen/metrics" | grep "^registry_manifest_integrity_$1[ {]"; }
swept_at() { served last_complete_timestamp_seconds | sed 's/.* //' | grep -x '[0-9.e+]*[1-9][0-9.e+]*'; }
# A service that does not answer, or has no whole sweep yet, has not swept.
has_swept() { # [SINCE]
    local at
    at=$(swept_at) && [ "$at" != "${1:-}" ]
}
stops() { kill "$1"; wait "$1" || true; }

serve() { # CASE ARGUMENTS...: in the background, as $service
    local said=$out/$1
    shift
    ip netns exec "$client" env -i HOME="$work/home" "${environment[@]}" "$probe" serve --interval 1s --listen "$listen" "$@" \
        >>"$said" 2>&1 &
    service=$!
    started+=("$service")
}

# Sweep, verify, push and service: CASE REGISTRY GATEWAY OPTIONS...
all_work() {
    local name=$1 registry=$2 gateway=$3
    shift 3
    local instance=$name.test
    local push=(--push-gateway "$gateway") others=() to_gateway=()
    for option in "$@"; do
        case $option in --push-*) to_gateway+=("$option") ;; *) others+=("$option") ;; esac
    done
    run "$name" sweep -vv --depth digest --confirm-after 0s --instance "$instance" "${push[@]}" "${to_gateway[@]}" "${others[@]}" "$registry" ||
        fail "$name: sweep"
    until_true "$name: the gateway holds it" held_of "$instance"
    local image=${registry#*://}
    case $registry in http://*) others+=(--plain-http) ;; esac
    run "$name" verify "${others[@]}" "$image/app:v1" || fail "$name: verify"
    run "$name" doctor "${others[@]}" "$registry" || fail "$name: doctor"
    serve "$name" "${push[@]}" "${to_gateway[@]}" --instance "service-$instance" "${others[@]}" "$registry"
    until_true "$name: the service sweeps" has_swept
    until_true "$name: the service pushes" held_of "service-$instance"
    stops "$service"
    say "$name: sweep, verify, push and service work"
}

# --- The networks.

listen=127.0.0.1:9464
inside=http://10.78.0.1
make_spaces
make_certificates
start_servers
push_image

# A proxy, with a login, before everything.
fails_with 3 no-way sweep --confirm-after 0s --timeout 2s "$inside:5000"
environment=("http_proxy=http://user:$password@10.77.0.1:3128" "HTTPS_PROXY=http://user:$password@10.77.0.1:3128")
all_work http-proxy "$inside:5000" "$inside:9091"
says http-proxy 'http://10.77.0.1:3128, which http_proxy names'
all_work https-through-http-proxy https://inside.test:8384 https://inside.test:8384/gateway \
    --ca-file="$work/p384.pem" --push-ca-file="$work/p384.pem"
environment=("HTTPS_PROXY=http://user:wrong-$password@10.77.0.1:3128" "HTTP_PROXY=http://10.77.0.1:3129")
fails_with 3 proxy-refuses sweep --confirm-after 0s https://inside.test:8384
says proxy-refuses 'through the proxy http://10.77.0.1:3128 (HTTPS_PROXY)'
fails_with 3 proxy-away sweep --confirm-after 0s "$inside:5000"
says proxy-away 'through the proxy http://10.77.0.1:3129 (HTTP_PROXY)'
environment+=("NO_PROXY=" "no_proxy=*.test:5000, 10.77.0.0/24")
all_work excepted http://near.test:5000 http://10.77.0.1:9091

environment=("ALL_PROXY=socks5h://user:$password@10.77.0.1:1080")
all_work socks5h http://inside.test:5000 http://inside.test:9091
all_work https-through-socks5h https://inside.test:8384 https://inside.test:8384/gateway \
    --ca-file="$work/p384.pem" --push-ca-file="$work/p384.pem"
environment=("ALL_PROXY=socks5://user:$password@10.77.0.1:1080")
all_work socks5 http://known.test:5000 http://known.test:9091

# Private authorities.
environment=()
for curve in 384 521; do
    # nginx speaks TLS 1.2 of itself, which other rules hold for.
    in_client curl -sf --tlsv1.3 --cacert "$work/p$curve.pem" "https://near.test:1$curve/v2/" >/dev/null
    all_work "p$curve-tls1.3" "https://near.test:1$curve" "https://near.test:1$curve/gateway" \
        --ca-file="$work/p$curve.pem" --push-ca-file="$work/p$curve.pem"
    fails_with 3 "p$curve-unknown" sweep --confirm-after 0s "https://near.test:8$curve"
    says "p$curve-unknown" 'name the authority'
    all_work "p$curve" "https://near.test:8$curve" "https://near.test:8$curve/gateway" \
        --ca-file="$work/p$curve.pem" --push-ca-file="$work/p$curve.pem"
done

# Client certificates: by options, with a key in both forms, and in certs.d.
trusted=(--ca-file="$work/p384.pem" --push-ca-file="$work/p384.pem")
push_pair=(--push-client-cert="$work/client.pem" --push-client-key="$work/client.key")
for key in client client-sec1; do
    all_work "$key-key" https://near.test:8443 https://near.test:8443/gateway "${trusted[@]}" "${push_pair[@]}" \
        --client-cert="$work/client.pem" --client-key="$work/$key.key"
done
folder=$work/home/.config/containers/certs.d/near.test:8443
mkdir -p "$folder"
cp "$work/p384.pem" "$folder/ca.crt"
cp "$work/client.pem" "$folder/client.cert"
cp -p "$work/client.key" "$folder/client.key"
all_work certs.d https://near.test:8443 https://near.test:8443/gateway "${push_pair[@]}" --push-ca-file="$work/p384.pem"
says certs.d 'client.cert'

# A redirect to somebody who asks for a certificate gets none, nor the trust that is the registry's own.
all_work redirected https://near.test:8444 https://near.test:8443/gateway "${trusted[@]}" "${push_pair[@]}" \
    --client-cert="$work/client.pem" --client-key="$work/client.key"
all_are "$work/access-8445.log" NONE 'the redirect target got a certificate'
grep -q '^NONE GET /v2/app/blobs' "$work/access-8445.log" || fail 'nobody was redirected'
all_are "$work/access-8444.log" SUCCESS 'the registry got no certificate'
cp -rp "$folder" "${folder%8443}8444"
fails_with 3 redirected-by-folder sweep --depth digest --confirm-after 0s https://near.test:8444
says redirected-by-folder UnknownIssuer

# The proxy's own host is known to be on this machine, and is none of the registry's business for that.
environment=("HTTPS_PROXY=http://gate.test:3128" "NO_PROXY=near.test,gate.test")
fails_with 3 redirected-to-the-proxy sweep --confirm-after 0s --ca-file="$work/p384.pem" https://near.test:8446
says redirected-to-the-proxy 'gate.test is an address of this machine or network'
environment=()

# A Secret that Kubernetes rotates: the link is swapped, and the next sweep shows the new certificate.
secret=$work/secret
for one in client next-client; do
    mkdir -p "$secret/..$one"
    cp "$work/$one.pem" "$secret/..$one/tls.crt"
    cp -p "$work/$one.key" "$secret/..$one/tls.key"
    cp "$work/p384.pem" "$secret/..$one/ca.crt"
done
ln -s ..client "$secret/..data"
for file in tls.crt tls.key ca.crt; do ln -s "..data/$file" "$secret/$file"; done
serve rotated --ca-file "$secret/ca.crt" --client-cert "$secret/tls.crt" --client-key "$secret/tls.key" \
    https://near.test:8443
until_true 'the old certificate is taken' has_swept
write_nginx next-clients
kill -HUP "$(cat "$work/nginx.pid")"
until_true 'the old certificate is refused' grep -q '^FAILED' "$work/access-8443.log"
ln -s ..next-client "$secret/..new"
mv -T "$secret/..new" "$secret/..data"
before=$(swept_at) || fail 'rotated: it says of no sweep'
until_true 'the new certificate is taken' has_swept "$before"
stops "$service"
say 'rotated: the new certificate is in use'

# IPv6 alone: no address of the other kind is left, not even this machine's.
ip -n "$client" address delete 10.77.0.2/24 dev to-server
ip -n "$client" address delete 127.0.0.1/8 dev lo
listen=[::1]:9464
all_work ipv6 'http://[fd77::1]:5000' 'http://[fd77::1]:9091'
all_work ipv6-by-name http://six.test:5000 http://six.test:9091

# --- Nothing that was said holds a secret: the password, or any line of a key.
for key in "$work"/*.key; do
    grep -v -e '-----' "$key" | grep '.\{40\}'
done >"$work/secrets"
printf '%s\n' "$password" "$(printf 'user:%s' "$password" | base64)" >>"$work/secrets"
[ "$(cat "$out"/* | wc -c)" -gt 10000 ] || fail 'there is nothing to search'
! grep -rlF -f "$work/secrets" "$out" || fail 'a secret was told'
say "everything works, and no secret was told"
