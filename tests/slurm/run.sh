#!/usr/bin/env bash
# `fewstep slurm` under a real Slurm of its own on this machine: `just test-slurm`; three minutes. Four shards of a sweep of which one is
# killed, one requeued, one told that its time is over, and a node drained meanwhile, must merge into the tables of a single run, to the last
# byte but for the columns of seconds. Then a task that reaches its time limit must come back by itself, one that failed too, and one that is
# cancelled must not.
# Wants Slurm's programs (Debian: apt-get install munge slurmctld slurmd slurm-client) and Python 3.
set -euo pipefail
cd "$(dirname "$0")/../.."
root="$PWD"
. tests/slurm/cluster.sh
cargo build --release --workspace --bins
# Both sides make their own solution.
export FEWSTEP_KNOWN=
binary="$(realpath "${FEWSTEP:-${CARGO_TARGET_DIR:-target}/release/fewstep}")"
work="$(mktemp -d)"

say() { printf '== %s (%s s)\n' "$1" "$SECONDS"; }
fail() {
    printf 'error: %s\n' "$1" >&2
    squeue --array 2>&1 | head -20 >&2 || true
    find "$work" -name '*.log' -size +0 -exec tail -n 15 -v {} + >&2 || true
    exit 1
}
finish() {
    local status=$?
    trap - EXIT
    set +e
    stop "$work/slurm"
    if [ -n "$(processes_of "$work/slurm")" ]; then
        echo 'error: processes are left over' >&2
        status=1
    fi
    rm -rf "$work"
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# What Slurm knows of a job or task.
shown() { scontrol show job "$1" | grep -oP "\b$2=\K\S+" | head -1; }
is_state() { [[ "$(shown "$1" JobState)" =~ ^($2)$ ]]; }
running() { [ "$(squeue --noheader --array --jobs="$1" --states=RUNNING | wc -l)" = "$2" ]; }
# The process of a shard of the sweep into a folder.
process_of() {
    local shard="$1" out="$2" of
    for of in /proc/[0-9]*; do
        if { tr '\0' ' ' < "$of/cmdline"; } 2> /dev/null | grep -qF -- "--out $out --device cpu --shard $shard "; then
            echo "${of#/proc/}"
        fi
    done
}
# `fewstep slurm … --submit`; sets `shards` and `merge`, the ids of the jobs.
submit() {
    submitted "$("$binary" slurm "$@" --submit)" || fail 'not submitted'
}
# Of what the submission printed.
submitted() {
    echo "$1"
    shards="$(awk '$1 == "shards" { print $2 }' <<< "$1")"
    merge="$(awk '$1 == "merge" { print $2 }' <<< "$1")"
    [ -n "$shards" ] && [ -n "$merge" ]
}
# The cells of which a shard has all of its images, each with what tells whether it was written again.
whole() {
    local shard="$1" part=2000
    find "the shards/shards/$shard-of-4/cells/parts" -name "$(((shard - 1) * part))-$((shard * part))-*.toml" -printf '%f %i %T@\n' 2> /dev/null | sort
}
has_whole() { [ "$(whole "$1" | wc -l)" -ge "$2" ]; }

say 'a cluster of two nodes'
start "$work/slurm"
sinfo

# A name that wants quoting.
mkdir "$work/it's \$HOME"
cd "$work/it's \$HOME"
cp "$root/tests/slurm/experiment.toml" .

say 'a single run'
"$binary" sweep experiment.toml --out single > single.log 2>&1

say 'four shards'
submit experiment.toml --shards 4 --out 'the shards' --partition main --cpus 1 --time 10
wait_until 60 'all four tasks running' running "$shards" 4
for i in 1 2 3 4; do wait_until 60 "shard $i has two cells" has_whole "$i" 2; done

node="$(shown "${shards}_4" NodeList)"
say "task 1 killed, 2 requeued, 3 told, and $node drained"
for i in 1 2 3; do whole "$i" > "whole-$i"; done
killed="$(process_of 1/4 'the shards')"
[ -n "$killed" ] || fail 'no process of shard 1'
kill -KILL "$killed"
scontrol requeue "${shards}_2"
scancel --batch --signal=TERM "${shards}_3"
scontrol update NodeName="$node" State=DRAIN Reason=test
# Those that come back while it is drained, come back elsewhere.
back() {
    local i
    for i in 1 2 3; do
        if [ "$(shown "${shards}_$i" Restarts)" = 1 ] && is_state "${shards}_$i" RUNNING; then echo "${shards}_$i"; fi
    done
}
is_back() { returned="$(back)" && [ -n "$returned" ]; }
wait_until 60 'a task is back' is_back
for task in $returned; do
    echo "task $task is back on $(shown "$task" NodeList)"
    [ "$(shown "$task" NodeList)" != "$node" ] || fail "$task runs on the drained node"
done
scontrol show node "$node" | grep -q DRAIN || fail "$node is not drained"
scontrol update NodeName="$node" State=RESUME

wait_until 300 'the merge is done' is_state "$merge" 'COMPLETED|FAILED|CANCELLED|TIMEOUT'
is_state "$merge" COMPLETED || fail 'the merge failed'
for i in 1 2 3 4; do
    is_state "${shards}_$i" COMPLETED || fail "task $i is not complete"
    echo "task $i: restarted $(shown "${shards}_$i" Restarts) times"
done
for i in 1 2 3; do
    [ "$(shown "${shards}_$i" Restarts)" -ge 1 ] || fail "task $i was never restarted"
    # What it had is what it has: nothing of it was done again.
    whole "$i" | comm -13 - "whole-$i" | grep . && fail "shard $i did again what it had"
    echo "task $i: had $(wc -l < "whole-$i") of $(whole "$i" | wc -l) cells when it was stopped, and did none of them again"
    [ "$(wc -l < "whole-$i")" -lt "$(whole "$i" | wc -l)" ] || fail "task $i was stopped at its end"
done
grep -q 'shard 3: status 143, requeued' 'the shards/slurm/shard-3.log' || fail 'task 3 did not save before it was requeued'

say 'the same to the last byte'
python3 "$root/tests/slurm/same.py" single 'the shards'
"$binary" compare 'the shards' single --check
# One digit of one figure, and it is not.
cp -r single changed
sed -i '2s/\([0-9]\),/1\1,/' changed/cells.csv
if python3 "$root/tests/slurm/same.py" single changed 2> /dev/null; then fail 'the comparison takes everything for the same'; fi

say 'a time limit, and a task that is cancelled'
sed 's/^samples = 8000$/samples = 400000/' experiment.toml > long.toml
submit long.toml --shards 2 --out long --cpus 1 --time 10
wait_until 60 'both tasks running' running "$shards" 2
scontrol update JobId="${shards}_1" TimeLimit=2
wait_until 120 'the task is requeued by itself before its time is over' is_state "${shards}_1" PENDING
[ "$(shown "${shards}_1" Restarts)" = 1 ] || fail 'the task was not restarted'
grep -q 'shard 1: status 143, requeued' long/slurm/shard-1.log || fail 'the log says nothing of it'
scancel "${shards}_2"
wait_until 60 'the task is cancelled' is_state "${shards}_2" CANCELLED
sleep 5
is_state "${shards}_2" CANCELLED || fail 'what was cancelled came back'
[ -z "$(process_of 2/2 long)" ] || fail 'the shard of a cancelled task runs on'
say 'a failure that passes'
"$binary" slurm experiment.toml --shards 2 --out again --cpus 1 --time 10 > /dev/null
cat > "$work/flaky" << END
#!/bin/bash
# Fails the first time that it is asked for the first shard.
case "\$*" in *'--shard 1/2'*) [ -e '$work/failed' ] || { touch '$work/failed'; exit 1; } ;; esac
exec '$binary' "\$@"
END
chmod +x "$work/flaky"
sed -i "s|^$binary |$work/flaky |; s|^'$binary' |$work/flaky |" again/slurm/shards.sbatch
grep -q flaky again/slurm/shards.sbatch || fail 'the program in the script was not found'
submitted "$(bash again/slurm/submit.sh)" || fail 'not submitted'
wait_until 300 'the merge is done' is_state "$merge" 'COMPLETED|FAILED|CANCELLED|TIMEOUT'
is_state "$merge" COMPLETED || fail 'the merge failed'
grep -q 'shard 1: status 1, requeued' again/slurm/shard-1.log || fail 'the log says nothing of the failure'
python3 "$root/tests/slurm/same.py" single again
say 'done'
