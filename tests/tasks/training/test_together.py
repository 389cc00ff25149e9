"""Runs that train together: each ends as it would by itself, and what cannot says why."""

import copy
import random
import threading

import numpy as np
import pytest
import torch
from conftest import CONNECTIONS
from small_runs import rows
from tiny_runs import shrink, words

from tasks.training import together
from tasks.training.build import build_task, build_trainer_options
from tasks.training.stacked import Stacked
from tasks.worker.alone import why_alone
from tasks.worker.jobs import run_cells
from tasks.worker.main import answer
from zoo.config.compose import load
from zoo.run_folder import RunFolder
from zoo.seeding import redraw

DRAWS = "vmap: called random operation"
CUSTOM = "In order to use an autograd.Function"
ALONE = {"stochastic_depth": DRAWS, "reversible": CUSTOM}  # rules that their own reasons name


def tiny(*given):
    config = load(words(*given, "trainer.max_steps=4"))[0]
    task = build_task(config)
    redraw(task.model, 0)
    task.setup("fit")
    return config, task.train()


def reason(*given):
    config, task = tiny(*given)
    return why_alone(config, build_trainer_options(config), task, next(iter(task.train_loader())))


@pytest.mark.parametrize("connection", CONNECTIONS)
def test_nets_computed_together_have_the_gradients_of_each(connection):
    """Of all rules but two, by PyTorch's own backward pass through each net."""
    _, task = tiny("transformer", f"connection={connection}")
    models = [copy.deepcopy(task.model) for _ in range(3)]
    for seed, model in enumerate(models):
        redraw(model, seed)
    tokens = torch.randint(0, 60, (3, 2, 8), generator=torch.Generator().manual_seed(0))
    inputs = [((each,), {}) for each in tokens]
    if connection in ALONE:
        with pytest.raises(RuntimeError, match=ALONE[connection]):
            Stacked(models).forward(inputs)
        return
    own = copy.deepcopy(models)
    for model, each in zip(own, tokens, strict=True):
        model(each).square().mean().backward()
    made = Stacked(models).forward(inputs)
    for given in made.answers:
        given.square().mean().backward()
    made.backward()
    for model, other in zip(models, own, strict=True):
        grads, expected = (
            {name: p.grad for name, p in each.named_parameters() if p.grad is not None}
            for each in (model, other)
        )
        torch.testing.assert_close(grads, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("cnn", ""),
        ("cnn connection=stochastic_depth", "random draws inside the net"),
        ("transformer model.dropout=0.1", "random draws inside the net"),
        ("cnn trainer.compile=true", "trainer.compile"),
        ("cnn trainer.graphs=true", "trainer.graphs"),
        ("gnn model.dropout=0", "a backward pass that is written by hand"),
    ],
)
def test_what_trains_alone_says_why(given, said):
    why = reason(*given.split())
    assert why.startswith(said)
    assert bool(why) == bool(said)


def test_a_model_whose_kept_values_are_no_statistics_trains_alone():
    """Tables that no checkpoint keeps are those of the first model; where they differ it shows."""
    config, task = tiny("transformer")
    head = task.model.head

    class Scaled(type(head)):
        def reset_parameters(self):
            self.register_buffer("scale", torch.randn(()), persistent=False)

        def forward(self, x):
            return self.scale * super().forward(x)

    head.__class__ = Scaled
    why = why_alone(config, build_trainer_options(config), task, next(iter(task.train_loader())))
    assert why.startswith("a gradient that differs by")


def runs(folder, given, changes):
    """The requests of runs that differ in some words, each with its folder."""
    folder.mkdir()
    return [
        {
            "do": "cell",
            "config": load([*words(*given.split(), "trainer.max_steps=4"), *change.split()])[
                0
            ].plain(),
            "folder": str(folder / str(number)),
            "why": False,
        }
        for number, change in enumerate(changes)
    ]


def ended(folder, count):
    return [(RunFolder(folder / str(n)).result(), rows(folder / str(n))) for n in range(count)]


COUNTED = ("iou", "dice", "accuracy")  # of pixels and images, of which one may fall otherwise


def close(found, known):
    assert found.keys() == known.keys()
    for name, value in known.items():
        least = 4e-3 if any(word in name for word in COUNTED) else 1e-5
        assert found[name] == pytest.approx(value, rel=1e-3, abs=least), name


def agrees(one, other):
    """Two runs have the same log and result within rounding."""
    (result, log), (expected, usual) = one, other
    assert result["status"] == expected["status"] == "done"
    close(result["metrics"], expected["metrics"])
    assert [row.keys() for row in log] == [row.keys() for row in usual]
    for row, known in zip(log, usual, strict=True):
        close(row, known)
    keys = ("order_digest", "start_digest", "branch_digest", "data_digest", "steps", "best_step")
    assert {key: result[key] for key in keys} == {key: expected[key] for key in keys}


@pytest.mark.parametrize(
    "given",
    [
        "cnn task.crop=1 task.mixup=0.2 trainer.on_nonfinite=skip trainer.ema=0.9 trainer.clip=1.0",
        pytest.param("diffusion trainer.accumulate=2", marks=pytest.mark.slow),
        pytest.param("transformer trainer.precision=bf16-mixed", marks=pytest.mark.slow),
        pytest.param("unet trainer.clip=0.5 connection=hyper", marks=pytest.mark.slow),
        pytest.param("cnn optimizer=adamw model.norm=group", marks=pytest.mark.slow),
    ],
)
def test_runs_together_end_as_each_by_itself(given, tmp_path, monkeypatch):
    shrink(monkeypatch)
    changes = ["seed=0", "seed=1", "seed=2"]
    for request in runs(tmp_path / "alone", given, changes):
        assert answer(request) == {"status": "done"}
    requests = runs(tmp_path / "together", given, changes)
    assert run_cells(requests, answer) == [{"status": "done"}] * 3
    for one, other in zip(*(ended(tmp_path / f, 3) for f in ("together", "alone")), strict=True):
        assert one[0]["together"] == 3
        assert "together" not in other[0]
        assert (one[0]["peak_memory_bytes"] is None, other[0]["peak_memory_bytes"] > 0) == (
            True,
        ) * 2
        agrees(one, other)


def test_a_run_that_diverges_leaves_the_others_as_they_are(tmp_path, monkeypatch):
    shrink(monkeypatch)
    changes = ["seed=0", "seed=1 optimizer.lr=1e30"]
    requests = runs(tmp_path / "together", "cnn", changes)
    found = run_cells(requests, answer)
    assert found == [{"status": "done"}, {"status": "diverged"}]
    answer(runs(tmp_path / "alone", "cnn", changes)[0])
    agrees(ended(tmp_path / "together", 1)[0], ended(tmp_path / "alone", 1)[0])
    assert "diverged" not in (tmp_path / "together" / "0" / "log.txt").read_text()


def test_a_run_that_returns_to_earlier_steps_meets_the_others_again(tmp_path, monkeypatch):
    shrink(monkeypatch)
    given = "cnn trainer.on_nonfinite=rollback trainer.nonfinite_limit=2 trainer.validate_every=2"
    changes = ["seed=0", "seed=1 optimizer.lr=1e30"]
    requests = runs(tmp_path / "together", given, changes)
    assert run_cells(requests, answer) == [{"status": "done"}, {"status": "diverged"}]
    assert RunFolder(tmp_path / "together" / "1").result()["lost_steps"] > 1
    answer(runs(tmp_path / "alone", given, changes)[0])
    agrees(ended(tmp_path / "together", 1)[0], ended(tmp_path / "alone", 1)[0])


def test_the_first_that_ends_leaves_the_others_their_precision(tmp_path, monkeypatch):
    shrink(monkeypatch)
    requests = runs(tmp_path / "together", "cnn trainer.matmul=high", ["seed=0", "seed=1"])
    seen = []

    def reply(request, seat):
        found = answer(request, seat)
        seen.append(torch.get_float32_matmul_precision())
        return found

    assert run_cells(requests, reply) == [{"status": "done"}] * 2
    assert seen == ["high", "high"]
    assert torch.get_float32_matmul_precision() == "highest"


def test_what_cannot_be_computed_together_may_be_tried_alone(tmp_path, monkeypatch):
    """Nets of other data can have other shapes; exit code 6 is tried again by a comparison."""
    shrink(monkeypatch)
    requests = runs(tmp_path / "together", "cnn", ["model.width=4", "model.width=8"])
    for found in run_cells(requests, answer):
        assert found["code"] == 6
        assert found["error"].startswith("runs could not be computed together (RuntimeError: stack")


def offer():
    return (torch.ones(3, 2),), {}


def test_who_waits_for_the_floor_is_alive():
    """Also once its step is computed: another run may evaluate for long before it comes."""
    heard, first = [threading.Event(), threading.Event()], []

    def run(seat):
        seat.model, seat.alive = torch.nn.Linear(2, 2), heard[seat.number].set
        seat.group.meet(seat, offer())
        if not first:  # the other one waits now
            first.append(seat.number)
            other = heard[1 - seat.number]
            other.clear()
            assert other.wait(30)
        return True

    assert together.run_together([run, run]) == [True, True]


def test_a_run_finds_all_random_states_as_it_left_them():
    def run(seat):
        seat.model, drawn = torch.nn.Linear(2, 2), []
        for seed in (random.seed, np.random.seed, torch.manual_seed):
            seed(seat.number)
        for _ in range(3):
            drawn.append((random.random(), np.random.rand(), torch.rand(()).item()))
            seat.group.meet(seat, offer())
        return drawn

    alone = [together.run_together([lambda seat, n=n: run_as(seat, n, run)])[0] for n in (0, 1)]
    assert together.run_together([run, run]) == alone


def run_as(seat, number, run):
    seat.number = number
    return run(seat)


def test_a_run_that_comes_back_brings_its_statistics():
    """After a return to an earlier step its buffers may be others than before."""
    group = together.Group()
    seats = group.seats(2)
    for seat in seats:
        seat.model = torch.nn.BatchNorm1d(2)
    inputs = dict.fromkeys(seats, ((torch.randn(5, 2),), {}))
    group.forward(inputs)
    with group.floor:
        group.leave(seats[0])
    seats[0].model.double().float()  # as a move to another device and back
    before = seats[0].model.running_mean.clone()
    group.forward(inputs)
    assert not torch.equal(seats[0].model.running_mean, before)
