#!/bin/bash
# Written by `fewstep slurm`. Submits the shards and, behind them, the merge; prints their job ids.
set -euo pipefail
# Logs are beside the scripts.
cd -- "$(dirname -- "${BASH_SOURCE[0]}")"

shards=$(sbatch --parsable shards.sbatch)
shards=${shards%%;*}
if ! merge=$(sbatch --parsable --dependency="afterok:$shards" merge.sbatch); then
    scancel "$shards"
    exit 1
fi
echo "shards $shards"
echo "merge ${merge%%;*}"
