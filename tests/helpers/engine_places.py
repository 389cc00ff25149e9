"""Places where the engines of comparisons run in tests, and the processes that they leave."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import pytest
from real_slurm import real_slurm, why_absent

from zoo.compare.execution.engines.ray_cluster import ALONE

CLUSTER = """
import json, sys
from zoo.compare.execution.engines.ray_cluster import Cluster
cluster = Cluster("local")
print(json.dumps({"address": cluster.ray.get_runtime_context().gcs_address}), flush=True)
sys.stdin.read()
cluster.close()
"""


@contextlib.contextmanager
def opened(engine):
    """The options with which an engine finds its place, which is open within the block."""
    with PLACES.get(engine, contextlib.nullcontext)() as options:
        yield options or {}


@contextlib.contextmanager
def ray():
    """A cluster of Ray on this machine, which asks for its token."""
    if find_spec("ray") is None:  # it is imported where ALONE is set
        pytest.skip("the package ray is not installed")
    command, pipe = [sys.executable, "-c", CLUSTER], subprocess.PIPE
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**ALONE, "RAY_AUTH_MODE": "token"}.items():
            patch.setenv(name, value)
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
            yield json.loads(process.stdout.readline())
            process.communicate("")


@contextlib.contextmanager
def slurm():
    """A Slurm of one node on this machine."""
    if reason := why_absent():
        pytest.skip(reason)
    with (
        tempfile.TemporaryDirectory() as folder,
        real_slurm(Path(folder)) as started,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in started.env.items():
            patch.setenv(name, value)
        yield {}


PLACES = {"ray": ray, "slurm": slurm}


def processes(program):
    """The processes that run a program as workers, by their numbers; zombies do not."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = path.read_bytes().split(b"\0")
            if words[1:3] == [os.fsencode(program), b"worker"]:
                found.append(int(path.parent.name))
    return sorted(found)


def process_lives(pid):
    """Whether a process lives; a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"
