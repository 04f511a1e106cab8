#!/usr/bin/env bash
# The foreign S3 servers of the tests (crate testbed): pinned, checked against their hashes, kept
# for every checkout of this user and linked into .tools of this one. Safe to run again.
set -euo pipefail
cd "$(dirname "$0")/.."
cache=${LAKEHOUSE_CACHE:-$HOME/.cache/lakehouse}/tools
# Compiled parts fit one version of Python only.
version=$(python3 -c 'import sys; print("py%d.%d" % sys.version_info[:2])')-$(sha256sum setup/requirements-test.txt | cut -c1-12)
servers=$cache/test-servers-$version
mkdir -p "$cache" .tools

if [ ! -d "$servers" ]; then
    printf 'setup: foreign S3 servers (PyPI)\n'
    tmp=$(mktemp -d "$cache/tmp.XXXXXX")
    trap 'rm -rf "$tmp"' EXIT
    python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-deps --require-hashes \
        --only-binary :all: --target "$tmp/servers" --requirement setup/requirements-test.txt
    # Another checkout may have been quicker.
    mv -T "$tmp/servers" "$servers" 2>/dev/null || [ -d "$servers" ]
fi
ln -sfn "$servers" .tools/test-servers
