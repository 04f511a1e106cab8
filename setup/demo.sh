#!/usr/bin/env bash
# demo.sh LAKEHOUSE: the way of one file, with the client, against a running platform.
set -euo pipefail
lakehouse=$1
export LAKEHOUSE_URL=${LAKEHOUSE_URL:-http://127.0.0.1:3210}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

step() { printf '\n$ lakehouse %s\n' "$*"; "$lakehouse" "$@"; }

"$lakehouse" sample workers --rows 100000 --output "$folder/demo_workers.csv"
step ingest "$folder/demo_workers.csv" --mode replace
step datasets
step sql "SELECT role, count(*) AS workers, round(avg(hourly_pay), 2) AS pay
          FROM demo_workers WHERE state = 'IL' GROUP BY role ORDER BY workers DESC LIMIT 5"
step sql "SELECT name, city, hourly_pay, summary FROM demo_workers
          WHERE role ILIKE '%forklift%' AND state = 'IL' ORDER BY hourly_pay DESC LIMIT 3"
