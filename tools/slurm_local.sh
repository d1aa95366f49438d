#!/usr/bin/env bash
# A SLURM cluster of one node, this machine, without systemd: to try run.py and recipes on it.
#
#   tools/slurm_local.sh start [DIR]    start it; nothing happens where it already runs
#   tools/slurm_local.sh stop [DIR]     stop it; running jobs are killed
#
# Processors are given out, memory is not: recipes ask for more than a laptop has.
# All its state lies in DIR (default tools/slurm). Tell SLURM's commands where it is:
#   export SLURM_CONF=DIR/slurm.conf
# Debian's packages slurm-wlm and munge are needed; root gets them by apt-get where they are missing.
set -euo pipefail

usage() { sed -n '2,10s/^# \{0,1\}//p' "$0" >&2; exit 1; }

[[ $# -ge 1 && $# -le 2 ]] || usage
action=$1
memory=1048576 # MB that the node is said to have
tools=$(cd "$(dirname "$0")" && pwd)
dir=${2:-$tools/slurm}
export PATH="$PATH:/usr/sbin:/sbin"

install_packages() {
    local command missing=false
    for command in munged slurmctld slurmd sbatch; do
        command -v "$command" >/dev/null || missing=true
    done
    $missing || return 0
    if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
        echo "$0: slurm-wlm and munge are missing; run as root: apt-get install slurm-wlm munge" >&2
        exit 1
    fi
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends slurm-wlm munge
}

# The process of a daemon, if it runs; one that has ended but was not waited for has no exe.
pid_of() {
    local pid
    pid=$(cat "$dir/$1.pid" 2>/dev/null) || return 1
    [[ -e /proc/$pid/exe && $(cat "/proc/$pid/comm") == "$1" ]] && echo "$pid"
}

# Two TCP ports that nobody listens on.
free_ports() {
    python3 -c 'if True:
        import socket
        sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        print(*[one.getsockname()[1] for one in sockets])'
}

write_config() {
    local ports processors
    processors=$(env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc) # which obeys these two
    read -r -a ports < <(free_ports)
    cat >"$dir/slurm.conf" <<CONF
ClusterName=local
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=${ports[0]}
SlurmdPort=${ports[1]}
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/munge
AuthInfo=socket=$dir/munge.socket,cred_expire=5
CryptoType=crypto/munge
CredType=cred/munge
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SchedulerType=sched/builtin
SchedulerParameters=sched_interval=1,sched_min_interval=0,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=5
MailProg=/bin/true
NodeName=$(hostname -s) NodeAddr=127.0.0.1 CPUs=$processors RealMemory=$memory State=UNKNOWN
PartitionName=local Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
}

start_munge() {
    pid_of munged >/dev/null && return
    if [[ ! -s $dir/munge.key ]]; then
        (umask 077 && head -c 1024 /dev/urandom >"$dir/munge.key")
    fi
    munged --force --key-file="$dir/munge.key" --socket="$dir/munge.socket" \
        --pid-file="$dir/munged.pid" --log-file="$dir/munged.log" --seed-file="$dir/munge.seed"
}

start() {
    install_packages
    mkdir -p "$dir/state" "$dir/spool"
    dir=$(cd "$dir" && pwd)
    export SLURM_CONF=$dir/slurm.conf
    if ! pid_of slurmctld >/dev/null; then write_config; fi
    start_munge
    pid_of slurmctld >/dev/null || slurmctld
    pid_of slurmd >/dev/null || slurmd
    for _ in $(seq 100); do
        if [[ $(sinfo --noheader --format=%t 2>/dev/null) =~ ^(idle|mix|alloc)$ ]]; then
            echo "export SLURM_CONF=$SLURM_CONF"
            return
        fi
        sleep 0.2
    done
    echo "$0: SLURM did not start; see $dir/slurmctld.log and $dir/slurmd.log" >&2
    exit 1
}

stop() {
    local daemon pid
    if [[ -e $dir/slurm.conf ]] && pid_of slurmctld >/dev/null; then
        SLURM_CONF=$dir/slurm.conf scancel --quiet --user="$(id -un)" || true
    fi
    for daemon in slurmd slurmctld munged; do
        pid=$(pid_of "$daemon") || continue
        kill "$pid"
        for _ in $(seq 50); do
            pid_of "$daemon" >/dev/null || continue 2
            sleep 0.1
        done
        kill -9 "$pid"
    done
}

case $action in
    start) start ;;
    stop) stop ;;
    *) usage ;;
esac
