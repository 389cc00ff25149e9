"""Compiled runs: one kind of write is compiled once, whatever a run does with its net."""

import functools
import os

import pytest
import torch
from small_runs import weights
from tiny_runs import TINY, fit, shrink, words

from tasks.training import compiling

SLOW = [pytest.param(task, marks=pytest.mark.slow) for task in sorted(TINY) if task != "cnn"]
GRAPHS = {
    "cnn": 2,
    "diffusion": 6,
    "gnn": 5,
    "transformer": 4,
    "unet": 4,
}  # of training and of evaluation


@pytest.fixture
def graphs(monkeypatch):
    """Gives the graphs that are compiled since it was called last; the compiler runs them as is."""
    quick = functools.partial(compiling.compile_writes, backend="eager")
    monkeypatch.setattr(compiling, "compile_writes", quick)
    torch.compiler.reset()
    counted = torch._dynamo.utils.counters

    def count():
        number = counted["stats"]["unique_graphs"]
        counted.clear()
        return number

    count()
    return count


@pytest.mark.parametrize("task", ["cnn", *SLOW])
def test_a_run_compiles_each_kind_for_training_and_evaluation_alone(
    task, graphs, tmp_path, monkeypatch
):
    """Not for last batches, profiles, samples or figures; and a later run of the process none."""
    shrink(monkeypatch)
    given = words(task, "trainer.max_steps=4", "trainer.compile=true")
    fit(tmp_path / "first", *given)
    assert graphs() == GRAPHS[task]
    fit(tmp_path / "second", *given)
    assert graphs() == 0
    torch.testing.assert_close(
        weights(tmp_path / "second"), weights(tmp_path / "first"), rtol=0, atol=0
    )


def test_compiled_code_is_kept_in_the_cache_of_the_user(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv(compiling.FOLDER, "")  # so that it is put back
    monkeypatch.delenv(compiling.FOLDER)
    compiling.compile_model(torch.nn.Linear(1, 1), "whole")
    assert os.environ[compiling.FOLDER].startswith(str(tmp_path / "residual-zoo"))
    monkeypatch.setenv(compiling.FOLDER, str(tmp_path))
    compiling.compile_model(torch.nn.Linear(1, 1), "whole")
    assert os.environ[compiling.FOLDER] == str(tmp_path)
