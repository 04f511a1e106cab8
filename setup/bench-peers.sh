#!/usr/bin/env bash
# What the benchmarks compare with, for this user alone, under ~/.cache/lakehouse/tools: peers from
# PyPI, pinned and checked against their hashes, candle by its lock file, and Debian's nginx, unpacked from its package and
# not installed, so that no web server starts on this machine. In groups, each made again only where what it
# is made of has changed. Safe to run again.
set -euo pipefail
cd "$(dirname "$0")"
tools=${LAKEHOUSE_CACHE:-$HOME/.cache/lakehouse}/tools

say() { printf 'setup: %s\n' "$*"; }

pip_install() { # folder options…
    python3 -m pip install --quiet --root-user-action ignore --disable-pip-version-check --no-deps --require-hashes \
        --target "$@"
}

# As whoever runs this: apt's own user may not write below a home folder.
get_nginx() { apt-get -qq -o APT::Sandbox::User="$(id -un)" download nginx; }

servers() { # folder
    say "benchmark peers (PyPI): DuckDB, PyArrow, ROAPI, rclone, tpchgen"
    pip_install "$1" --only-binary :all: --requirement requirements-bench.txt
    say "nginx (Debian package, unpacked)"
    local tmp
    tmp=$(mktemp -d "$1/tmp.XXXXXX")
    (cd "$tmp" && { get_nginx || { apt-get -qq update && get_nginx; }; })
    dpkg-deb -x "$tmp"/nginx_*.deb "$1/debian"
    rm -rf "$tmp"
}

vectors() { # folder
    say "benchmark peers (PyPI): Chroma, Qdrant's engine, NumPy"
    pip_install "$1" --only-binary :all: --requirement requirements-bench-vectors.txt
    say "hnswlib (PyPI, compiled)"
    PYTHONPATH=$1 pip_install "$1" --no-build-isolation --no-binary hnswlib --no-cache-dir \
        --requirement requirements-bench-hnswlib.txt
}

encoder() { # folder
    say "benchmark peers (PyPI): ONNX Runtime, NumPy"
    pip_install "$1" --only-binary :all: --requirement requirements-bench-encoder.txt
}

# For this very processor, in a folder of its own that goes again: nothing of it is shared with the workspace.
candle() { # folder
    say "benchmark peer (crates.io, compiled): candle"
    RUSTFLAGS="-C target-cpu=native" cargo build --quiet --release --locked --manifest-path ../bench/candle/Cargo.toml \
        --target-dir "$1/target"
    mv "$1/target/release/candle-peer" "$1/candle-peer"
    rm -rf "$1/target"
}

group() { # folder function requirements…
    local folder=$tools/$1 make=$2 wanted
    shift 2
    # Compiled parts fit one version of Python only.
    wanted=$({ python3 --version && declare -f pip_install get_nginx "$make" && cat "$@"; } | sha256sum | cut -d' ' -f1)
    if [ "$(cat "$folder/.installed" 2>/dev/null)" != "$wanted" ]; then
        rm -rf "$folder"
        mkdir -p "$folder"
        "$make" "$folder"
        echo "$wanted" >"$folder/.installed"
    fi
}

group bench-peers servers requirements-bench.txt
group bench-peers-vectors vectors requirements-bench-vectors.txt requirements-bench-hnswlib.txt
group bench-peers-encoder encoder requirements-bench-encoder.txt
group bench-peers-candle candle ../bench/candle/Cargo.toml ../bench/candle/Cargo.lock ../bench/candle/src/main.rs
