"""What Slurm prints, and what it is asked for, without a Slurm."""

import os

import pytest

from zoo.compare.execution.engine import ALLOCATION, Terms
from zoo.compare.execution.engines import slurm_queue
from zoo.compare.execution.engines.array_task import ArrayTask
from zoo.compare.execution.engines.queue import Place
from zoo.compare.execution.engines.slurm import SlurmEngine, minutes_of
from zoo.compare.execution.engines.slurm_queue import SlurmQueue
from zoo.errors import ConfigError


@pytest.fixture
def sbatch(tmp_path, monkeypatch):
    """A program in place of Slurm's, which accepts all; the file of the variables that it saw."""
    program, told = tmp_path / "sbatch", tmp_path / "told"
    program.write_text(
        f"#!/bin/sh\nenv | grep -E '^(SLURM|ZOO)_' >{told}\necho Submitted batch job 8\n"
    )
    program.chmod(0o755)
    for name in ("srun", "squeue"):
        (tmp_path / name).symlink_to(program)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return told


def test_what_squeue_prints_is_read(monkeypatch):
    text = "7_0|RUNNING|None\n7_11|PENDING|Resources\n8_N/A|SUSPENDED|None\n7_2|COMPLETED|None\n"
    monkeypatch.setattr(slurm_queue, "ask", lambda *words: text)
    queue = SlurmQueue({}, ArrayTask(Terms(None), 60.0))
    assert queue.places("name") == {
        "7_0": Place(False),
        "7_11": Place(True, reason="Resources"),
        "8": Place(False, rests=True),
    }
    monkeypatch.setattr(slurm_queue, "ask", lambda *words: None)
    assert queue.places("name") is None


@pytest.mark.parametrize("wrong", ["soon", "1:2", "90 min"])
def test_a_time_that_is_none_is_refused(wrong):
    with pytest.raises(ConfigError, match="time="):
        minutes_of(wrong)


def test_slurm_is_refused_where_it_cannot_work(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="workers=N"):
        SlurmEngine(Terms(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="sbatch is not installed"):
        SlurmEngine(Terms(tmp_path, 2))


def test_workers_share_no_gpu_that_is_not_asked_for(tmp_path, sbatch):
    with pytest.raises(ConfigError, match=r"engine\.gres=gpu:N"):
        SlurmEngine(Terms(tmp_path, 8), per_gpu=4)
    assert SlurmEngine(Terms(tmp_path, 8), per_gpu=4, gres="gpu:1").at_once == 4


def test_what_sbatch_refuses_is_said_in_one_line(tmp_path, sbatch, capfd):
    (tmp_path / "sbatch").write_text("#!/bin/sh\necho sbatch: error: too many jobs >&2\nexit 1\n")
    with pytest.raises(ConfigError, match=r"^too many jobs -- engine=slurm -- .*workers=N"):
        SlurmEngine(Terms(tmp_path, 1)).queue.submit(1, tmp_path / "mailbox", tmp_path)
    assert capfd.readouterr().err == ""


def test_a_comparison_in_a_job_gives_its_tasks_nothing_of_that_job(tmp_path, sbatch, monkeypatch):
    given = {"SLURM_JOB_ID": "7", "SLURM_NNODES": "2", "SLURM_CONF": "here"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    engine = SlurmEngine(Terms(tmp_path, 1))
    engine.queue.submit(1, tmp_path / "mailbox", tmp_path)
    told = dict(line.split("=", 1) for line in sbatch.read_text().splitlines())
    assert {key: told.get(key) for key in given} == dict.fromkeys(given) | {"SLURM_CONF": "here"}
    assert not {ALLOCATION} & {*told, *os.environ}
    assert given.items() <= os.environ.items()
