"""A real Slurm of one node on this machine, in a folder of its own and on free ports.

Needs Debian's slurm-wlm and munge, and root: slurmd starts jobs as other users.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import time

import pytest

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun")
# Two partitions: jobs of `high` have those of `low` saved and queued again.
CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
AuthType=auth/munge
# Requeued jobs wait for so many seconds, 120 unless told otherwise.
AuthInfo=socket={folder}/munge.socket,cred_expire=5
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,bf_interval=1
ReturnToService=2
JobRequeue=1
MpiDefault=none
KillWait=5
OverTimeLimit=0
# The two cores of the node need not be there.
SlurmdParameters=config_overrides
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName=localhost NodeHostname={host} NodeAddr=127.0.0.1 CPUs=2 CoresPerSocket=2
PartitionName=low Nodes=ALL Default=YES State=UP PriorityTier=1 GraceTime=10
PartitionName=high Nodes=ALL State=UP PriorityTier=2
"""


def missing():
    """Why there can be no cluster here; empty if there can."""
    absent = [name for name in PROGRAMS if which(name) is None]
    if absent:
        return f"Slurm is not installed: no {', '.join(absent)}"
    return "" if os.getuid() == 0 else "Slurm starts jobs as root only"


def which(name):
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@contextlib.contextmanager
def started(folder):
    """Starts it; -> path of its slurm.conf, for SLURM_CONF."""
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    path = folder / "slurm.conf"
    host = socket.gethostname().split(".")[0]
    ports = {"controller": free_port(), "node": free_port()}
    path.write_text(CONFIGURATION.format(host=host, folder=folder, **ports))
    environment = {**os.environ, "SLURM_CONF": str(path)}
    munge = [f"--{n}-file={folder}/munge.{n}" for n in ("key", "pid", "log", "seed")]
    commands = (
        # As root, in a folder that others may write beside: it would refuse.
        [which("munged"), "--foreground", "--force", f"--socket={folder}/munge.socket"]
        + munge,
        [which("slurmctld"), "-D", "-f", str(path)],
        [which("slurmd"), "-D", "-f", str(path), "-N", "localhost"],
    )
    processes = []
    with (folder / "daemons.txt").open("wb") as log:
        try:
            for command in commands:
                processes.append(
                    subprocess.Popen(
                        command, env=environment, stdout=log, stderr=log, cwd=folder
                    )
                )
                if len(processes) == 1:
                    wait(lambda: (folder / "munge.socket").exists(), "munged")
            wait(lambda: is_idle(environment), "a node", folder)
            yield path
        finally:
            for process in reversed(processes):
                process.terminate()
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()


def is_idle(environment):
    done = subprocess.run(
        ["sinfo", "--noheader", "--partition=low", "--format=%t"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    return done.stdout.strip() == "idle"


def wait(condition, what, folder=None, seconds=120):
    """Waits for a condition; shows the logs of the daemons where it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            logs = sorted(folder.glob("*.log")) if folder else []
            ends = "\n".join(p.read_text(errors="replace")[-2000:] for p in logs)
            pytest.fail(f"{what} did not come within {seconds} s\n{ends}")
        time.sleep(0.1)
