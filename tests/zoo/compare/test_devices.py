"""Runs of a comparison on several devices: torchrun starts their processes, on every engine."""

import json
import os
import sys

import pytest
from engine_places import opened
from small_runs import weights

from tasks.worker import ranks
from zoo.cli.main import main
from zoo.compare.execution.engine import ALLOCATION, Terms
from zoo.compare.execution.engines.local import LocalEngine
from zoo.errors import ConfigError, ResourceError
from zoo.run_folder import RunFolder
from zoo.system.machine_memory import GPU_SHARE

WORDS = "task=gnn connection=plain,residual pairs=1 model.depth=2 model.width=8 data.nodes=60"
WORDS += " data.train=20 data.val=20 trainer.max_steps=3 trainer.accelerator=cpu mirror=false"
SRUN = """#!{python}
import subprocess, sys
nodes = next(int(w.partition("=")[2]) for w in sys.argv if w.startswith("--nodes="))
words = sys.argv[next(i for i, w in enumerate(sys.argv) if i and not w.startswith("--")):]
agents = [subprocess.Popen(words) for _ in range(nodes)]
sys.exit(max(agent.wait() for agent in agents))
"""


def compared(folder, *more):
    """The runs of a comparison, by arm: result and weights."""
    assert main(["compare", *WORDS.split(), f"dir={folder}", *more]) == 0
    found = {}
    for cell in sorted((folder / "cells").iterdir()):
        result = RunFolder(cell).result()
        found[result["connection"]] = result, weights(cell)
    return found


def same(one, other, processes):
    assert one.keys() == other.keys() == {"plain", "residual"}
    for arm in one:
        (first, before), (second, after) = one[arm], other[arm]
        assert second["devices"]["processes"] == processes
        assert second["metrics"] == pytest.approx(first["metrics"], rel=1e-4, abs=1e-5)
        for name, value in before.items():
            assert value == pytest.approx(after[name], rel=1e-4, abs=1e-5), name


@pytest.mark.slow
def test_runs_on_two_devices_are_those_on_one(tmp_path):
    same(compared(tmp_path / "one"), compared(tmp_path / "two", "trainer.devices=2"), 2)
    assert not list((tmp_path / "two" / "cells").glob(".*"))


@pytest.mark.slow
def test_runs_on_two_machines_are_those_on_one(tmp_path, monkeypatch):
    """An `srun` that starts both agents on this machine."""
    (tmp_path / "srun").write_text(SRUN.format(python=sys.executable))
    (tmp_path / "srun").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    one = compared(tmp_path / "one")
    monkeypatch.setenv(ALLOCATION, json.dumps({"SLURM_NNODES": "2"}))
    two = compared(tmp_path / "two", "workers=1")
    same(one, two, 2)
    assert {result["devices"]["machines"] for result, _ in two.values()} == {2}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ray", "slurm"])
def test_clusters_run_on_two_devices(name, tmp_path):
    with opened(name) as options:
        words = [f"engine={name}", *(f"engine.{key}={value}" for key, value in options.items())]
        words += ["engine.cpus=2"] if name == "slurm" else []
        two = compared(tmp_path / "two", "trainer.devices=2", "workers=2", *words)
    same(compared(tmp_path / "one"), two, 2)


def test_a_lost_process_costs_its_run_only(tmp_path, monkeypatch):
    killed = "import os; os.kill(os.getpid(), 9)"
    monkeypatch.setattr(ranks, "command", lambda *_: [sys.executable, "-c", killed])
    request = {"config": {"trainer": {"devices": 2}}, "folder": str(tmp_path / "cell")}
    with pytest.raises(ResourceError, match="a process of the run was lost"):
        ranks.run_on_devices(request)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("gpus", "devices", "workers"), [("0,1,2,3,4", 2, ["0,1", "2,3"]), ("0,1", 1, ["0", "1"])]
)
def test_each_worker_has_gpus_of_its_own(gpus, devices, workers, tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", gpus)
    engine = LocalEngine(Terms(tmp_path, devices=devices))
    assert [",".join(share) for share in engine.shares] == workers
    assert engine.free == len(workers)
    if devices > 1:
        with pytest.raises(ConfigError, match=r"has them alone, .* workers=2 at most"):
            LocalEngine(Terms(tmp_path, workers=3, devices=devices))
    engine.close()


PRINTED = "import json, os; print(json.dumps(dict(os.environ)), flush=True)"


@pytest.mark.parametrize(("per_gpu", "workers"), [(1, 2), (1, 5), (2, 3), (4, 4)])
def test_workers_know_which_part_of_a_gpu_they_have(per_gpu, workers, tmp_path, monkeypatch):
    """However many there are, their parts of each GPU are equal and make one."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    engine = LocalEngine(Terms(tmp_path, workers=workers, program=("-c", PRINTED)), per_gpu)
    parts = {}
    for number in range(workers):
        engine.submit(str(number), {})
    while sum(map(len, parts.values())) < workers:
        for outcome in engine.poll(60.0):
            gpu = outcome.answer["CUDA_VISIBLE_DEVICES"]
            parts.setdefault(gpu, []).append(float(outcome.answer[GPU_SHARE]))
    engine.close()
    for some in parts.values():
        assert some == [pytest.approx(1 / len(some))] * len(some)


def test_runs_on_several_gpus_do_not_share_them(tmp_path):
    with pytest.raises(ConfigError, match="has them alone"):
        LocalEngine(Terms(tmp_path, devices=2), per_gpu=2)
