#!/usr/bin/env bash
# libFuzzer on one target: fuzz/coverage.sh TARGET SECONDS. New inputs go to fuzz/target/inputs/, findings to fuzz/findings/.
set -euo pipefail
cd "$(dirname "$0")/.."
target="$1" seconds="${2:-60}"
export CARGO_TARGET_DIR="${FUZZ_TARGET_DIR:-$PWD/fuzz/target}" FUZZ_TARGET="$target"
RUSTC_WRAPPER="$PWD/fuzz/rustc.sh" cargo build --release --manifest-path fuzz/Cargo.toml
inputs="fuzz/target/inputs/$target"
mkdir -p "$inputs" "fuzz/findings/$target" "fuzz/corpus/$target"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
seeds=("fuzz/corpus/$target")
case "$target" in
    plan) seeds+=(experiments/plans experiments/plans/fitted experiments/plans/curves) ;;
    normaliser-csv) seeds+=(experiments/published/curves) ;;
esac
# An input that takes ten seconds, or a gigabyte, is a finding.
TMPDIR="$work" "$CARGO_TARGET_DIR/release/fewstep-fuzz" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -max_len=65536 \
    -artifact_prefix="fuzz/findings/$target/" -print_final_stats=1 "$inputs" "${seeds[@]}"
