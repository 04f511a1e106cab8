#!/usr/bin/env bash
# The foreign servers and clients of the tests (crate testbed): S3, and OpenAI's and Ollama's clients, from
# PyPI, pinned and checked against their hashes, and Redis from Debian, unpacked from its packages and not
# installed, so that no server starts on this machine and nobody has to be root. Kept for every checkout of
# this user and linked into .tools of this one. Safe to run again.
set -euo pipefail
cd "$(dirname "$0")/.."
cache=${LAKEHOUSE_CACHE:-$HOME/.cache/lakehouse}/tools
mkdir -p "$cache" .tools

from_pypi() { # folder requirements
    python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-deps --require-hashes \
        --only-binary :all: --target "$1" --requirement "$2"
}

s3() { # folder
    printf 'setup: foreign S3 servers (PyPI)\n'
    from_pypi "$1" setup/requirements-test.txt
}

# In a folder of their own: neither they nor the servers bring the versions that the others want.
clients() { # folder
    printf 'setup: the clients of OpenAI and Ollama (PyPI)\n'
    from_pypi "$1/clients" setup/requirements-test-clients.txt
}

# The two libraries are what a fresh Debian lacks besides. As whoever runs this: apt's own user may
# not write below a home folder.
get_redis() { apt-get -qq -o APT::Sandbox::User="$(id -un)" download redis-server redis-tools liblzf1 libjemalloc2; }

redis() { # folder
    printf 'setup: Redis (Debian packages, unpacked)\n'
    local debs=$1/debs package
    mkdir "$debs"
    # Lists that are missing or name packages that have been replaced: fetched again, which only root may.
    (cd "$debs" && { get_redis 2>/dev/null || { apt-get -qq update && get_redis; }; })
    for package in "$debs"/*.deb; do dpkg-deb -x "$package" "$1/redis"; done
    rm -rf "$debs"
    # A library that is missing shows here rather than in a test.
    LD_LIBRARY_PATH=$(echo "$1"/redis/usr/lib/*-linux-gnu) "$1/redis/usr/bin/redis-server" --version >/dev/null
}

# Compiled parts fit one version of Python only.
version=$(python3 -c 'import sys; print("py%d.%d" % sys.version_info[:2])')-$({ cat setup/requirements-test*.txt && declare -f from_pypi s3 clients get_redis redis; } | sha256sum | cut -c1-12)
servers=$cache/test-servers-$version

if [ ! -d "$servers" ]; then
    tmp=$(mktemp -d "$cache/tmp.XXXXXX")
    trap 'rm -rf "$tmp"' EXIT
    mkdir "$tmp/servers"
    s3 "$tmp/servers"
    clients "$tmp/servers"
    redis "$tmp/servers"
    # Another checkout may have been quicker.
    mv -T "$tmp/servers" "$servers" 2>/dev/null || [ -d "$servers" ]
fi
ln -sfn "$servers" .tools/test-servers
