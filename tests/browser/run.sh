#!/usr/bin/env bash
# The pages of some published results, made anew, in a real browser: `just test-report`. Wants Node 20 or newer and Chromium
# (Debian: apt-get install chromium; another one: CHROMIUM=path). Arguments go to Node's test runner.
set -euo pipefail
cd "$(dirname "$0")/../.."
binary="${CARGO_TARGET_DIR:-target}/release/fewstep"
cargo build --release --workspace --bins
reports="$(mktemp -d)"
trap 'rm -rf "$reports"' EXIT
for name in quick solvers cross gaussian fid-solution curves convergence bench train-cifar10 fit; do
    cp -r "results/$name" "$reports/$name"
    "$binary" report "$reports/$name" > /dev/null
done
cd tests/browser
npm ci --no-audit --no-fund --silent
REPORTS="$reports" node --test "$@" report.test.mjs
