#!/usr/bin/env bash
# What a fit to models/cifar10-small at 5 NFE comes to when it is asked for otherwise: plans, of which ../../fit-choices.toml sweeps some, and each
# fit's table in results/fit/. Needs `fewstep fetch inception`; fits that are done in out/fits are not begun again. 40 minutes on two cores, of which ten for `inception`.
set -euo pipefail
cd "$(dirname "$0")/../../.."
cargo build --release --workspace --bins
fewstep="${CARGO_TARGET_DIR:-target}/release/fewstep"
mkdir -p out/fits results/fit
fit() { # NAME ARGUMENTS: trajectories are the same wherever images are as many
    name="$1"
    shift
    if [ ! -d "out/fits/$name" ] && [ -d out/fits/default ]; then
        mkdir "out/fits/$name"
        cp -r out/fits/default/cells "out/fits/$name/cells"
    fi
    "$fewstep" fit experiments/fit.toml --nfe 5 --out "out/fits/$name" "$@"
    cp "out/fits/$name/fitted-5.json" "experiments/plans/choices/$name-5.json"
    cp "out/fits/$name/fit.csv" "results/fit/$name.csv"
}
fit default
fit spectrum --objective spectrum
fit consistent --constraint consistent
fit states-1 --states 1
fit history-2 --history 2
fit history-5 --history 5
fit levels --stages coefficients,path,grid,levels,joint
fit by-hand --grid '1 0.7 0.35 0.1 0.012 0' --stages coefficients
for images in 8 16 32 128; do
    fit "images-$images" --images "$images"
done
fit inception --objective inception
# Score normalisation by curves of other images: how much of what it changes is the draw of the curve's images?
curve() { # NAME SEED IMAGES: as experiments/fit.toml collects it, clipped as in the paper
    sed "s/samples = 16, seed = 1/samples = $3, seed = $2/; s#\.\./models#$PWD/models#" experiments/fit.toml > "out/fits/$1.toml"
    grep -q "samples = $3, seed = $2" "out/fits/$1.toml"
    "$fewstep" curve "out/fits/$1.toml" --out "out/fits/$1.csv"
    for nfe in 5 10; do
        "$fewstep" plan --method deis-sn --order 2 --nfe "$nfe" --grid quadratic --normaliser "out/fits/$1.csv" --clip 5 --json > "experiments/plans/choices/$1-$nfe.json"
    done
}
curve sn-16-first 1 16
curve sn-16-second 2 16
curve sn-256 3 256
# The plan that each came to; and of each number of evaluations, of a whole `fewstep fit experiments/fit.toml --out out/fit`.
{
    echo "choice,$(head -n 1 results/fit/default.csv)"
    for name in default history-2 history-5 states-1 consistent levels by-hand spectrum inception images-8 images-16 images-32 images-128; do
        [ ! -f "results/fit/$name.csv" ] || awk -F, -v name="$name" '$1 == 5 && $3 == "true" { print name "," $0 }' "results/fit/$name.csv"
    done
} > results/fit/choices.csv
awk -F, 'NR == 1 || $3 == "true"' results/fit/fit.csv > results/fit/chosen.csv
