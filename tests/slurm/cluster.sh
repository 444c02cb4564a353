# shellcheck shell=bash
# A Slurm of its own, on this one machine: sourced by run.sh. `start FOLDER` has a controller and two nodes of two cores each run with everything
# they write in FOLDER; `stop` ends them, and nothing else. Debian: munge, slurmctld, slurmd, slurm-client.

NODES=(n1 n2)
started=()

# A port that nothing listens on; others start such a Slurm at the same time at their own risk.
free_ports() {
    python3 -c '
import socket, sys
sockets = [socket.socket() for _ in range(int(sys.argv[1]))]
for one in sockets: one.bind(("127.0.0.1", 0))
print(*(one.getsockname()[1] for one in sockets))' "$1"
}

configure() {
    local folder="$1" host ports
    host="$(hostname -s)"
    read -r -a ports <<< "$(free_ports 3)"
    mkdir -p "$folder"/{munge,state,spool,logs}
    # munged wants its socket in folders that all can enter and nobody else can write to, from the root on.
    chmod 755 "$(dirname "$folder")" "$folder" "$folder/munge"
    (umask 077 && head -c 1024 /dev/urandom > "$folder/munge/key")
    cat > "$folder/cgroup.conf" <<END
CgroupAutomount=no
END
    cat > "$folder/slurm.conf" <<END
ClusterName=fewstep
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=${ports[0]}
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
# Requeued jobs wait until their credentials are over: 120 s unless said otherwise.
AuthInfo=socket=$folder/munge/socket,cred_expire=5
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool/%n
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd-%n.pid
SlurmctldLogFile=$folder/logs/slurmctld.log
SlurmdLogFile=$folder/logs/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=5,bf_interval=5
KillWait=15
ReturnToService=2
# The nodes are said to have what the machine need not.
SlurmdParameters=config_overrides
NodeName=${NODES[0]} NodeHostname=$host NodeAddr=127.0.0.1 Port=${ports[1]} CPUs=2
NodeName=${NODES[1]} NodeHostname=$host NodeAddr=127.0.0.1 Port=${ports[2]} CPUs=2
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END
}

# Until a command succeeds; after so many seconds what was waited for is said.
wait_until() {
    local seconds="$1" what="$2" deadline
    shift 2
    deadline=$((SECONDS + seconds))
    until "$@"; do
        [ "$SECONDS" -lt "$deadline" ] || fail "waited $seconds s, and not: $what"
        sleep 0.2
    done
}

is_idle() { [ "$(sinfo --noheader --states=idle --format=%D)" = "${#NODES[@]}" ]; }

start() {
    local folder="$1" name
    configure "$folder"
    export SLURM_CONF="$folder/slurm.conf"
    "$(command -v munged || echo /usr/sbin/munged)" --foreground --key-file="$folder/munge/key" --socket="$folder/munge/socket" \
        --pid-file="$folder/munge/pid" --log-file="$folder/munge/log" --seed-file="$folder/munge/seed" \
        &> "$folder/logs/munged.log" &
    started+=($!)
    wait_until 20 'munged' test -S "$folder/munge/socket"
    "$(command -v slurmctld || echo /usr/sbin/slurmctld)" -D -c -f "$SLURM_CONF" 2>> "$folder/logs/slurmctld.err" &
    started+=($!)
    for name in "${NODES[@]}"; do
        "$(command -v slurmd || echo /usr/sbin/slurmd)" -D -c -N "$name" -f "$SLURM_CONF" 2>> "$folder/logs/slurmd-$name.err" &
        started+=($!)
    done
    wait_until 60 'both nodes idle' is_idle
}

# Jobs first, so that no step outlives its node; then the daemons, by their ids.
stop() {
    local folder="$1" pid
    scancel --user="$(id -un)" 2> /dev/null && sleep 1
    for ((i = ${#started[@]} - 1; i >= 0; i--)); do kill -TERM "${started[i]}" 2> /dev/null; done
    for ((i = 0; i < 50; i++)); do
        kill -0 "${started[@]}" 2> /dev/null || break
        sleep 0.2
    done
    for pid in "${started[@]}"; do kill -KILL "$pid" 2> /dev/null; done
    # Steps, and what runs in them: all that has this folder in its environment.
    for pid in $(processes_of "$folder"); do kill -KILL "$pid" 2> /dev/null; done
    started=()
}

# Ids of processes, this shell and its own children apart, that were started for FOLDER.
processes_of() {
    local setting="SLURM_CONF=$1/slurm.conf" of pid
    for of in /proc/[0-9]*; do
        pid="${of#/proc/}"
        [ "$pid" = "$$" ] || [ "$pid" = "$BASHPID" ] && continue
        if { tr '\0' '\n' < "$of/environ"; } 2> /dev/null | grep -qxF "$setting"; then echo "$pid"; fi
    done
}
