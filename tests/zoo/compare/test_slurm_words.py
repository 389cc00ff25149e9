"""What Slurm prints, and what it is asked for, without a Slurm."""

import pytest

from zoo.compare.execution.engine import Terms
from zoo.compare.execution.engines import slurm_queue
from zoo.compare.execution.engines.array_task import ArrayTask
from zoo.compare.execution.engines.queue import Place
from zoo.compare.execution.engines.slurm import SlurmEngine, minutes_of
from zoo.compare.execution.engines.slurm_queue import SlurmQueue
from zoo.errors import ConfigError


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
