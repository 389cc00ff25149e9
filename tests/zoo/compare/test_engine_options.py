"""Options of engines: each changes what is done or is refused, before there is a folder."""

import os
import resource

import pytest

from zoo.cli.main import main
from zoo.compare.design.spec import Comparison, declare
from zoo.compare.execution.engine import Terms
from zoo.compare.execution.engines.local import visible_gpus
from zoo.compare.execution.engines.start import new_engine
from zoo.config import registry
from zoo.errors import ConfigError

RUN = ["compare", "task=gnn", "connection=plain,residual", "model.depth=2", "pairs=1"]
# another value than the default, and what the engine needs beside it
OTHERS = {
    "local": {"per_gpu": (2, {})},
    "ray": {"address": ("local", {}), "gpus": (0.5, {})},
    "slurm": {
        "time": (5, {}),
        "partition": ("gpu", {}),
        "account": ("lab", {}),
        "qos": ("high", {}),
        "constraint": ("a100", {}),
        "gres": ("gpu:1", {}),
        "cpus": (2, {}),
        "memory": (4.0, {}),
        "per_gpu": (2, {"gres": "gpu:1"}),
        "nodes": (2, {}),
        "setup": (["module load cuda"], {}),
    },
}


@pytest.fixture
def sbatch(tmp_path, monkeypatch):
    """A program in place of Slurm's."""
    (tmp_path / "sbatch").write_text("#!/bin/sh\n")
    (tmp_path / "sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")


def deeds(name, folder, **options):
    """What an engine does that has some options."""
    engine = registry.factory("engine", name, options)(Terms(folder / "logs", 4))
    if name == "slurm":
        return dict(engine.queue.parameters), engine.at_once, engine.queue.task.per_gpu
    if name == "ray":
        return engine.address, engine.gpus
    shares = [engine.shares[n // engine.per_gpu % len(engine.shares)] for n in range(4)]
    engine.close()
    return shares


@pytest.mark.parametrize("name", sorted(registry.names("engine")))
def test_every_option_of_an_engine_has_an_effect(name, tmp_path, monkeypatch, sbatch):
    pytest.importorskip({"ray": "ray", "slurm": "submitit"}.get(name, "zoo"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    assert OTHERS[name].keys() == registry.options("engine", name).keys()
    for option, (value, needed) in OTHERS[name].items():
        plain = deeds(name, tmp_path, **needed)
        assert deeds(name, tmp_path, **needed, **{option: value}) != plain, option
    assert not (tmp_path / "logs").exists()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("engine=local engine.per_gpu=4", "no GPU here"),
        ("engine=ray engine.address=127.0.0.1:1", "ray"),
        ("engine=slurm", "workers=N"),
        ("engine=slurm workers=2", "not installed"),
    ],
)
def test_an_engine_that_cannot_work_leaves_no_folder(words, why, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main([*RUN, f"dir={tmp_path}/here", *words.split()]) in (2, 6)
    (line,) = capsys.readouterr().err.splitlines()
    assert why in line
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("options", "devices", "why"),
    [
        ({"per_gpu": 2}, 1, r"engine\.gres=gpu:N"),
        ({"per_gpu": 2, "gres": "gpu:2", "nodes": 2}, 1, "has their GPUs alone"),
        ({"gres": "gpu:1", "cpus": 4}, 2, r"engine\.gres=gpu:1 -- give engine\.gres=gpu:2"),
        ({"cpus": 1}, 2, r"engine\.cpus=1"),
    ],
)
def test_slurm_refuses_what_would_have_no_effect(options, devices, why, tmp_path, sbatch):
    pytest.importorskip("submitit")
    with pytest.raises(ConfigError, match=why):
        registry.factory("engine", "slurm", options)(Terms(tmp_path, 2, devices=devices))


@pytest.mark.parametrize(
    ("gpus", "names"),
    [("0,1", ["0", "1"]), ("NoDevFiles", []), ("1,-1,0", ["1"]), ("", []), ("MIG-a", ["MIG-a"])],
)
def test_a_gpu_that_is_none_ends_the_list(gpus, names, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", gpus)
    assert visible_gpus() == names


def test_a_time_in_a_file_is_that_of_the_command_line(tmp_path, monkeypatch):
    """YAML 1.1 has numbers of base 60."""
    (tmp_path / "compare").mkdir()
    text = "engine: slurm\nengine.time: 4:00:00\nminutes: 90\n"
    (tmp_path / "compare" / "timed.yaml").write_text(text)
    monkeypatch.setitem(registry.homes(), tmp_path, "zoo")
    _, options, _ = declare(["compare=timed"])
    _, words, _ = declare(["engine=slurm", "engine.time=4:00:00"])
    assert options.engine_options["time"] == words.engine_options["time"] == "4:00:00"
    assert options.minutes == 90


def test_many_workers_have_the_files_that_they_need(tmp_path):
    """Each has a lease, which is an open file, and there is a usual limit of 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
    try:
        new_engine(Comparison(workers=150), tmp_path)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (856, hard)
        if hard != resource.RLIM_INFINITY:
            with pytest.raises(ConfigError, match=r"open files.* -- workers=\d+ -- give workers="):
                new_engine(Comparison(workers=hard), tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
