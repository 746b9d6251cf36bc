#!/bin/sh
# Names each of these tools that is missing or too old, with the way to get it: need.sh TOOL…
status=0

missing() {
    echo "missing: $1 ($2)" >&2
    status=2
}

# VERSION is at least WANTED, in its first two numbers.
at_least() {
    awk -v have="$1" -v want="$2" 'BEGIN {
        split(have, a, "."); split(want, b, ".")
        exit !(a[1] + 0 > b[1] + 0 || a[1] + 0 == b[1] + 0 && a[2] + 0 >= b[2] + 0)
    }'
}

rust="Rust 1.95 or newer, from https://rustup.rs"
node="Node.js 20.19 or newer with npm, from https://nodejs.org or your distribution"
python="Python 3.11 or newer with venv, from your distribution: python3 python3-venv"

for tool in "$@"; do
    case $tool in
        cargo)
            at_least "$(cargo --version 2>/dev/null | cut -d' ' -f2)" 1.95 || missing cargo "$rust"
            ;;
        cc) command -v cc >/dev/null || missing cc "a C compiler, from your distribution: gcc" ;;
        c++) command -v c++ >/dev/null || missing c++ "a C++ compiler, from your distribution: g++" ;;
        chromium)
            command -v chromium >/dev/null || missing chromium "Chromium, from your distribution: chromium"
            ;;
        dbus)
            command -v dbus-daemon >/dev/null || missing dbus "a bus, from your distribution: dbus"
            ;;
        git) command -v git >/dev/null || missing git "git, from your distribution: git" ;;
        node)
            command -v npm >/dev/null &&
                at_least "$(node --version 2>/dev/null | tr -d v)" 20.19 || missing node "$node"
            ;;
        openssl)
            command -v openssl >/dev/null || missing openssl "OpenSSL's program, from your distribution: openssl"
            ;;
        podman)
            { command -v podman && command -v runc; } >/dev/null ||
                missing podman "Podman and runc, from your distribution: podman runc"
            ;;
        postgres)
            { command -v postgres || ls /usr/lib/postgresql/*/bin/postgres; } >/dev/null 2>&1 ||
                missing postgres "PostgreSQL, from your distribution: postgresql"
            ;;
        prometheus)
            { command -v prometheus && command -v promtool; } >/dev/null ||
                missing prometheus "Prometheus, from your distribution: prometheus"
            ;;
        python3)
            python3 -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
                missing python3 "$python"
            ;;
        rsyslog)
            { command -v rsyslogd && ls /usr/lib/*/rsyslog/lmnsd_gtls.so &&
                ls /usr/lib/*/rsyslog/lmnsd_ossl.so; } >/dev/null 2>&1 ||
                missing rsyslog "rsyslog, from your distribution: rsyslog rsyslog-gnutls rsyslog-openssl"
            ;;
        *) missing "$tool" "nothing is known about it" ;;
    esac
done
exit "$status"
