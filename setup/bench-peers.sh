#!/usr/bin/env bash
# What the benchmarks compare with, for this user alone, under ~/.cache/lakehouse/tools: peers from
# PyPI, pinned and checked against their hashes, and Debian's nginx, unpacked from its package and
# not installed, so that no web server starts on this machine. Safe to run again.
set -euo pipefail
cd "$(dirname "$0")"
peers=${LAKEHOUSE_CACHE:-$HOME/.cache/lakehouse}/tools/bench-peers

say() { printf 'setup: %s\n' "$*"; }

# As whoever runs this: apt's own user may not write below a home folder.
get_nginx() { apt-get -qq -o APT::Sandbox::User="$(id -un)" download nginx; }

wanted=$(cat requirements-bench.txt bench-peers.sh | sha256sum | cut -d' ' -f1)
if [ "$(cat "$peers/.installed" 2>/dev/null)" != "$wanted" ]; then
    say "benchmark peers (PyPI): DuckDB, PyArrow, ROAPI, rclone, tpchgen"
    rm -rf "$peers"
    mkdir -p "$peers"
    python3 -m pip install --quiet --root-user-action ignore --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
        --target "$peers" --requirement requirements-bench.txt
    say "nginx (Debian package, unpacked)"
    tmp=$(mktemp -d "$peers/tmp.XXXXXX")
    (cd "$tmp" && { get_nginx || { apt-get -qq update && get_nginx; }; })
    dpkg-deb -x "$tmp"/nginx_*.deb "$peers/debian"
    rm -rf "$tmp"
    echo "$wanted" >"$peers/.installed"
fi
