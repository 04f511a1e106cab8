#!/usr/bin/env bash
# The cargo subcommands that `just check` and `just test` need, pinned, compiled once for every
# checkout of this user. A nextest that is on the PATH already is used as it is.
set -euo pipefail
root=${LAKEHOUSE_CACHE:-$HOME/.cache/lakehouse}/tools/cargo
export CARGO_TARGET_DIR=${LAKEHOUSE_CACHE:-$HOME/.cache/lakehouse}/tools/cargo-target

want() { # crate version
    [ -e "$root/$1-$2" ] && return
    printf 'setup: %s %s (compiled once; minutes)\n' "$1" "$2"
    cargo install --quiet --locked --root "$root" --version "$2" "$1"
    touch "$root/$1-$2"
}

command -v cargo-nextest >/dev/null 2>&1 || want cargo-nextest 0.9.143
want cargo-deny 0.20.2
want cargo-machete 0.9.2
rm -rf "$CARGO_TARGET_DIR"
