"""What the devices of a run do alike, and what each does for itself."""

from types import SimpleNamespace

import pytest

from tasks.gnn.task import NodeClassification
from tasks.training.hooks import Passes
from tasks.training.module import Task
from tasks.training.strategies import synchronised
from zoo.shard import Shard


@pytest.mark.parametrize("world", [1, 2, 3])
def test_processes_take_turns_in_an_evaluation(world):
    """Each batch counts once, and all processes call the model equally often, in each part."""
    parts = {"train": range(5), "val": range(1), "test": range(0)}
    all_turns = [[*Passes(parts.get, *parts, turns=Shard(r, world))] for r in range(world)]
    counted = [each for turns in all_turns for each in turns if each[0]]
    assert sorted(counted) == sorted((part, n) for part, batches in parts.items() for n in batches)
    assert {len(turns) for turns in all_turns} == {-(-5 // world) + 1}


@pytest.mark.parametrize(("task", "here"), [(Task, True), (NodeClassification, False)])
def test_gpus_share_the_statistics_of_the_rows_that_they_divide(task, here):
    """Processes that see all nodes of a graph have the variance of one: over N - 1, not 2 N - 1."""
    several = SimpleNamespace(processes=2, accelerator="gpu")
    assert synchronised(several, task) == here
    assert not synchronised(SimpleNamespace(processes=1, accelerator="gpu"), task)
    assert not synchronised(SimpleNamespace(processes=2, accelerator="cpu"), task)
