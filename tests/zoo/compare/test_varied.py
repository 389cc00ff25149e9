"""Pairs with data of their own, and the outcomes of test examples."""

import math

import numpy as np
import pytest
import torch
from invented_engine import InventedEngine, gap_of
from small_domains import TASKS, words

import zoo
from tasks.data.graphs.dataset import Graph
from tasks.training.outcomes import Outcomes, contributions
from tasks.worker.jobs import run_cell
from zoo.compare.analysis.items import outcomes_of
from zoo.compare.design.plan import plan
from zoo.compare.design.spec import declare
from zoo.compare.execution.store import Store
from zoo.compare.execution.tuning_runs import tune
from zoo.config import registry
from zoo.config.compose import load
from zoo.config.usable_data import usable
from zoo.run_folder import OUTCOMES, RunFolder

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
    tested = result["examples"]["test"]
    assert len(outcomes) == (math.ceil((tested - 1) / 16) if task == "transformer" else tested)
    assert np.mean(outcomes) == pytest.approx(result["primary"]["value"], rel=1e-6)


def test_outcomes_of_a_split_tell_which_examples_of_the_set_they_are_of(tmp_path):
    """Those that the trained net, asked on its own, classifies right."""
    pool, tested = registry.build("data", "digits").load(), []
    for seed in (0, 1):
        config, _ = load(words("cnn", "data.resplit=true", f"data.seed={seed}"))
        run_cell(config.plain(), str(tmp_path / f"{seed}"))
        with np.load(tmp_path / f"{seed}" / OUTCOMES) as content:
            items, outcomes = content["items"], content["test"]
        guess = zoo.load(tmp_path / f"{seed}")(pool.images[items]).argmax(1)
        assert outcomes.tolist() == (guess == pool.labels[items]).float().tolist()
        tested.append({*items.tolist()})
    assert len(tested[0]) == 360
    assert 0 < len(tested[0] & tested[1]) < 360


@pytest.mark.parametrize("columns", [1, 3])
def test_what_an_example_adds_is_the_slope_of_the_metric_in_its_weight(columns):
    draws = torch.Generator().manual_seed(0)
    above, below = (torch.rand(7, columns, generator=draws, dtype=torch.float64) for _ in "ab")
    split = (each.split(4) for each in (torch.arange(7), above, below))
    batches = [Outcomes(*batch) for batch in zip(*split, strict=True)]

    def metric(weights):
        return ((weights @ above) / (weights @ below)).mean()

    examples, values = contributions(reversed(batches))
    assert examples.tolist() == [*range(7)]
    weights = torch.ones(7, dtype=torch.float64, requires_grad=True)
    metric(weights).backward()
    torch.testing.assert_close(values, metric(weights).detach() + 7 * weights.grad)
    assert values.mean().item() == pytest.approx(metric(weights).item())


def test_a_mean_has_the_values_themselves_and_a_column_that_nobody_has_is_left_out():
    right = torch.tensor([True, False, True])
    _, values = contributions([Outcomes(torch.arange(3), right)])
    assert values.tolist() == [1, 0, 1]
    both = torch.stack([right.long(), torch.zeros(3)], 1)
    below = torch.tensor([[1, 0]] * 3)
    assert contributions([Outcomes(torch.arange(3), both, below)])[1].tolist() == [1, 0, 1]
