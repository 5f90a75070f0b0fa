#!/usr/bin/env bash
# Slurm of Debian's packages on this machine alone, for the tests: slurm.sh start|stop FOLDER.
# Needs root. FOLDER gets configuration, logs and state.
set -euo pipefail
folder="$2"
conf="$folder/slurm.conf"

start() {
  mkdir -p "$folder"/{state,spool}
  mkdir -p /run/munge && chown munge: /run/munge
  if ! pgrep -x munged >/dev/null; then
    runuser -u munge -- munged
    cp /run/munge/munged.pid "$folder"
  fi
  cat >"$conf" <<EOF
ClusterName=tests
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SchedulerParameters=sched_interval=2,bf_interval=2
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
NodeName=$(hostname -s) NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=$(awk "/MemTotal/ {print int(\$2 / 1024)}" /proc/meminfo) State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
EOF
  slurmctld -f "$conf"
  slurmd -f "$conf"
}

stop() {
  for name in slurmd slurmctld munged; do
    [[ -s "$folder/$name.pid" ]] && kill "$(cat "$folder/$name.pid")" || true
  done
}

"$1"
