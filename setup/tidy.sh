#!/usr/bin/env bash
# tidy.sh FOLDER: keeps cargo's target folder below a size, as cargo itself only ever adds to it: a part for each
# checkout, branch and version that was built there. Beyond LAKEHOUSE_TARGET_MIB_MAX (default 30 GiB; a whole build
# takes 7) what was neither written nor read for two days goes, then what incremental builds keep, then the rest.
# Where a build is running nothing does.
set -euo pipefail
folder=$1
mib_max=${LAKEHOUSE_TARGET_MIB_MAX:-30720}

mib() { du -sm "$folder" | cut -f1; }
is_too_much() { [ "$(mib)" -gt "$mib_max" ]; }

if [ ! -d "$folder" ] || ! is_too_much; then
    exit 0
fi
shopt -s nullglob
for lock in "$folder"/*/.cargo-lock; do
    # Cargo's own, held for as long as it builds; here until this ends.
    exec {held}<>"$lock"
    if ! flock --nonblock "$held"; then
        printf 'tidy: %s is beyond %d MiB, and in use\n' "$folder" "$mib_max"
        exit 0
    fi
done
before=$(mib)
# An incremental build is known by its folder, everything else by its file.
find "$folder"/*/incremental -mindepth 1 -maxdepth 1 -mtime +1 -exec rm -rf {} + 2>/dev/null || true
find "$folder"/*/deps "$folder"/*/examples -type f -mtime +1 -atime +1 -delete 2>/dev/null || true
if is_too_much; then
    rm -rf "$folder"/*/incremental
fi
if is_too_much; then
    rm -rf "$folder"/*/{deps,examples,build,.fingerprint}
fi
printf 'tidy: %s had %d MiB, has %d\n' "$folder" "$before" "$(mib)"
