"""What the devices of a run do alike, and what each does for itself."""

import os
from types import SimpleNamespace

import pytest
import torch
from forked import start, torchrun_places
from torch import nn

from tasks.gnn.task import NodeClassification
from tasks.training.ddp import DDP
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


def statistics_of(rank, place, out):
    """Writes what a batch norm with statistics of its own has once a validation begins."""
    os.environ.update(place)
    torch.distributed.init_process_group("gloo")
    norm = nn.BatchNorm1d(2)
    norm(torch.tensor([[1.0, 2.0], [3.0, 6.0]]) + rank)
    strategy = DDP()
    strategy._lightning_module = norm
    strategy.on_validation_start()
    torch.save(norm.state_dict(), out)
    torch.distributed.destroy_process_group()


def test_statistics_of_one_process_are_those_of_all_in_a_validation(tmp_path):
    """Where a model has plain batch norms: those of the zoo have common statistics anyway."""
    files = [tmp_path / f"{rank}.pt" for rank in range(2)]
    ranks = [
        start(statistics_of, *each)
        for each in zip(range(2), torchrun_places(2), files, strict=True)
    ]
    for process in ranks:
        process.join()
    one, other = (torch.load(file, weights_only=True) for file in files)
    torch.testing.assert_close(one["running_mean"], torch.tensor([0.2, 0.4]))
    assert all(torch.equal(one[name], other[name]) for name in one)
