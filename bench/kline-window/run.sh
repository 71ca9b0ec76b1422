#!/usr/bin/env bash
# run.sh HOST:PORT: the workload on a broker that has the topic; prints one RESULT line.
# Environment: TOPIC N OUT MODE (rate|latency) SKIP STATE (redis://…) THREADS.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
exec "$here/../../node_modules/.bin/bun" "$here/kline-window.ts" "$1"
