"""Pairs with data of their own, and the outcomes of test examples."""

import numpy as np
import pytest
import torch
from invented_engine import InventedEngine, gap_of
from small_domains import TASKS, words

from tasks.data.graphs.dataset import Graph
from tasks.worker.jobs import run_cell
from zoo.compare.analysis.items import outcomes_of
from zoo.compare.design.plan import plan
from zoo.compare.design.spec import declare
from zoo.compare.execution.store import Store
from zoo.compare.execution.tuning_runs import tune
from zoo.config import registry
from zoo.config.compose import load
from zoo.config.usable_data import usable
from zoo.run_folder import RunFolder

VARYING = [
    name for name in registry.names("data") if hasattr(registry.resolve("data", name), "redrawn")
]


def planned(*arguments):
    _, options, axes = declare(["pairs=3", *arguments])
    return plan(options, axes)


def contents(data, *parts):
    """The bytes of the inputs of every example of some parts, or of all."""
    inputs = data.x if isinstance(data, Graph) else data.images
    numbers = torch.cat([data.parts[part] for part in parts or data.parts])
    return [inputs[number].numpy().tobytes() for number in numbers]


def data_of(planned):
    return {(c.place.title(), c.pair): c.config.sections["data"] for c in planned.cells}


@pytest.mark.parametrize("name", VARYING)
def test_other_seeds_make_other_data_of_the_same_size(name):
    split = registry.resolve("data", name).redrawn == "split"
    options = {"resplit": True} if split else {}
    one, other, again = (registry.build("data", name, seed=s, **options).load() for s in (1, 2, 1))
    assert one.digest() == again.digest() != other.digest()
    assert {k: len(v) for k, v in one.parts.items()} == {k: len(v) for k, v in other.parts.items()}
    pools = [{*contents(data)} for data in (one, other)]
    assert pools[0] == pools[1] if split else pools[0].isdisjoint(pools[1])
    assert {*contents(one, "test")} != {*contents(other, "test")}


@pytest.mark.parametrize("task", ["gnn", "cnn"])
def test_both_arms_of_a_pair_share_its_data_and_no_two_pairs_do(task):
    it = planned(f"task={task}")
    data = data_of(it)
    assert all(c.config.sections["data"] == data[c.place.title(), c.pair] for c in it.cells)
    assert {options["seed"] for options in data.values()} == {0, 1, 2}
    assert it.varied == [place.title() for place in it.places]
    assert all(options.get("resplit", True) for options in data.values())
    assert it.resplit == (it.varied if task == "cnn" else [])
    assert len({cell.kind for cell in it.cells}) == len(it.places) * len(it.arms)


@pytest.mark.parametrize("word", ["vary=nothing", "data.seed=5", "data.seed=5,6"])
def test_data_that_the_user_names_stay(word):
    it = planned("task=gnn", word)
    assert it.varied == []
    assert {c.config.sections["data"]["seed"] for c in it.cells} <= {0, 5, 6}


@pytest.mark.parametrize(
    ("task", "name"), [(task, name) for task in TASKS for name in usable(task) if name in VARYING]
)
def test_no_example_that_a_pair_tests_is_one_that_tuning_trains_or_validates_on(
    task, name, tmp_path
):
    it = planned(f"task={task}", f"data={name}", "model.depth=2", "tune=lr")
    engine = InventedEngine(gap_of(0.1))
    tune(it, ["optimizer.lr"], [2_000_000], Store(tmp_path), engine)
    options, *others = (config["data"] for config in engine.configs)
    assert others == [options] * len(others)  # of the one seed of tuning
    seen = {*contents(registry.build("data", name, **options).load(), "train", "val")}
    for options in data_of(it).values():
        tested = {*contents(registry.build("data", name, **options).load(), "test")}
        assert tested.isdisjoint(seen)


def test_a_text_of_which_there_is_one_is_shared_by_all_pairs():
    assert planned("task=transformer").varied == []


@pytest.mark.parametrize("more", ["trainer.ema=0.5", "seed=1"])
@pytest.mark.parametrize("task", TASKS)
def test_the_primary_metric_is_the_mean_of_the_outcomes(task, more, tmp_path):
    config, _ = load(words(task, more))
    run_cell(config.plain(), str(tmp_path / "cells" / "run"))
    outcomes = outcomes_of("run", [tmp_path])
    result = RunFolder(tmp_path / "cells" / "run").result()
    if task in ("unet", "transformer"):  # a mean over classes; windows of several lengths
        assert outcomes is None
    else:
        assert len(outcomes) == result["examples"]["test"]
        assert np.mean(outcomes) == pytest.approx(result["primary"]["value"], rel=1e-6)
