"""A Slurm of one node that a test starts, of Debian's packages slurm-wlm and munge."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol")
CONFIGURATION = """\
ClusterName=zoo
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,batch_sched_delay=0,sched_min_interval=0,requeue_delay=0
ReturnToService=2
SlurmdParameters=config_overrides
InactiveLimit=0
KillWait=5
MinJobAge=300
SlurmctldTimeout=300
SlurmdTimeout=300
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobRequeue=1
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=4000 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP OverSubscribe=YES
"""


def why_absent():
    """Why no Slurm can be started here; empty where it can."""
    if missing := [program for program in PROGRAMS if not shutil.which(program)]:
        return f"needs {', '.join(missing)} of Debian's packages slurm-wlm and munge"
    return "" if os.geteuid() == 0 else "needs root, which starts Slurm"


@dataclass
class Slurm:
    """A Slurm that runs.

    Args:
        folder: of its files.
    """

    folder: Path

    @property
    def env(self):
        """Variables by which Slurm's programs find it."""
        return {"SLURM_CONF": str(self.folder / "slurm.conf")}

    def ask(self, *words):
        """What one of Slurm's programs prints."""
        return subprocess.run(
            words, env=os.environ | self.env, check=True, capture_output=True, text=True
        ).stdout

    def jobs(self):
        """The jobs that wait or run: for each number (with that of its task) the state."""
        rows = self.ask("squeue", "--noheader", "--array", "--format=%i %T").split("\n")
        return dict(row.split() for row in rows if row)


@contextlib.contextmanager
def real_slurm(folder, cpus=4):
    """A Slurm of one node with folder, ports and keys of its own, which ends with the block.

    Args:
        folder: for its files, which exists.
        cpus: that it believes to have.
    """
    host, ports = socket.gethostname().split(".")[0], free_ports(2)
    for name in ("state", "spool"):
        (folder / name).mkdir()
    text = CONFIGURATION.format(
        host=host, folder=folder, controller=ports[0], node=ports[1], cpus=cpus
    )
    (folder / "slurm.conf").write_text(text)
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    slurm = Slurm(folder)
    env = os.environ | slurm.env
    munge = {"socket": "socket", "log-file": "log", "pid-file": "pid", "seed-file": "seed"}
    files = [f"--{option}={folder}/munge.{name}" for option, name in munge.items()]
    try:
        for command in (
            ["munged", "--force", f"--key-file={key}", *files],
            ["slurmctld", "-c"],
            ["slurmd", "-c"],
        ):
            subprocess.run(command, env=env, check=True, capture_output=True)
        until_it_works(slurm)
        yield slurm
    finally:
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            slurm.ask("scancel", "--full", "--signal=KILL", "--user=root")
            subprocess.run(["scancel", "--user=root"], env=env, check=False, capture_output=True)
        for name in ("slurmd", "slurmctld", "munge"):
            end(folder / f"{name}.pid")


def until_it_works(slurm, seconds=30.0):
    """Waits for the node; it is usable at once where it was in no earlier Slurm."""
    until = time.monotonic() + seconds
    state = ""
    while not state.startswith(("idle", "mix", "alloc")):
        if time.monotonic() > until:
            logs = [(slurm.folder / f"{name}.log") for name in ("slurmctld", "slurmd")]
            told = "\n".join(log.read_text()[-2000:] for log in logs if log.is_file())
            raise RuntimeError(f"Slurm did not start, its node is {state!r}:\n{told}")
        time.sleep(0.1)
        with contextlib.suppress(subprocess.CalledProcessError):
            state = slurm.ask("sinfo", "--noheader", "--format=%t").strip()


def end(file):
    """Ends the process that a pid file names, and waits until it is gone."""
    with contextlib.suppress(OSError, ValueError):
        pid = int(file.read_text())
        for number in (signal.SIGTERM, signal.SIGKILL):
            os.kill(pid, number)
            for _ in range(50):
                os.kill(pid, 0)
                time.sleep(0.1)


def free_ports(count):
    """Ports of this machine that nothing uses."""
    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in found:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in found]
