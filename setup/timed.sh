#!/usr/bin/env bash
# timed.sh NAME COMMAND…: runs it and prints how long it took.
set -uo pipefail
name=$1
shift
printf '== %s\n' "$name"
started=$SECONDS
"$@"
status=$?
printf '== %s: %s in %d s\n' "$name" "$([ $status -eq 0 ] && echo ok || echo "FAILED ($status)")" $((SECONDS - started))
exit $status
