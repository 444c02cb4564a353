#!/usr/bin/env bash
# DEIS-SN-2 on the quadratic grid, normalised by the curves of others: the plans of ../../curve-swap.toml.
set -euo pipefail
cd "$(dirname "$0")/../../.."
cargo build --release --workspace --bins
make() { # NAME CURVE CLIP: held constant below entry CLIP, as where the curve comes from
    for nfe in 5 10 20; do
        "${CARGO_TARGET_DIR:-target}/release/fewstep" plan --method deis-sn --order 2 --nfe "$nfe" --grid quadratic \
            --normaliser "$2" --clip "$3" --json > "experiments/plans/curves/$1-$nfe.json"
    done
}
make tiny results/cifar10-tiny/normaliser.csv 6
make xia-cifar10 experiments/published/curves/xia-2023-cifar10.csv 5
make xia-lsun experiments/published/curves/xia-2023-lsun-church64.csv 1
make ideal results/ideal-cifar10/normaliser.csv 0
make gaussian results/gaussian/normaliser.csv 0
make mixture results/mixture/normaliser.csv 0
