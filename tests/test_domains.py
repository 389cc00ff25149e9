"""What holds in every domain: all rules train, runs continue, processes do not matter."""

import functools
import itertools
import math
import os
from contextlib import redirect_stderr, redirect_stdout

import pytest
import torch
from forked import places, start
from matplotlib.figure import Figure
from small_domains import TASKS, words
from small_runs import rows, weights

from tasks.training.build import build_task
from zoo.cli.main import main
from zoo.config import registry
from zoo.config.compose import load
from zoo.run_folder import RunFolder
from zoo.seeding import branch_digest, redraw


class Domain:
    """A task of which everything but the rules is read and loaded once."""

    def __init__(self, task):
        self.config, _ = load(words(task))
        self.data = None
        self.digest = branch_digest(self.start("connection", "plain")[0].model)
        self.started = self.starts("connection", "plain")

    def remember(self, source):
        self.data = self.data or source.load()
        return self.data

    def start(self, slot, rule):
        """A task as a run begins it, and its first two batches."""
        config = self.config.with_choice(slot, rule)
        made = build_task(config, self.remember)
        redraw(made.model, config.seed)
        made.setup("fit")
        return made, list(itertools.islice(made.train_loader(), 2))

    def starts(self, slot, rule):
        """The digest of the branches under each init rule."""
        model, found = self.start(slot, rule)[0].model, {}
        for init in registry.names("init"):
            redraw(model, self.config.seed)
            registry.build("init", init).apply(model, self.config.seed)
            found[init] = branch_digest(model)
        return found


domain_of = functools.cache(Domain)


@pytest.fixture(params=TASKS)
def domain(request):
    return domain_of(request.param)


@pytest.mark.parametrize("name", registry.names("connection"))
def test_every_rule_trains_from_the_same_branches(domain, name):
    for slot in {"connection", "long"} & domain.config.choices.keys():
        made, batches = domain.start(slot, name)
        assert branch_digest(made.model) == domain.digest, slot
        optimizer = made.options.build(made.model, 2, made.batch_size)["optimizer"]
        before = {key: value.clone() for key, value in made.model.state_dict().items()}
        for batch in batches:
            optimizer.zero_grad()
            loss = made.loss(batch)
            loss.backward()
            assert math.isfinite(loss.item()), slot
            optimizer.step()
        after = made.model.state_dict()
        assert any(not torch.equal(after[key], value) for key, value in before.items()), slot


def spread():
    """Every connection in every task; each is in one task outside the slow run."""
    for index, name in enumerate(registry.names("connection")):
        for task in TASKS:
            here = TASKS[index % len(TASKS)] == task
            yield pytest.param(task, name, marks=[] if here else pytest.mark.slow)


@pytest.mark.parametrize(("domain", "name"), list(spread()), indirect=["domain"])
def test_every_init_rule_gives_every_connection_the_same_branches(domain, name):
    for slot in {"connection", "long"} & domain.config.choices.keys():
        assert domain.starts(slot, name) == domain.started, slot


@pytest.mark.parametrize("task", TASKS)
def test_a_continued_run_in_bfloat16_is_the_run_that_was_not_cut(task, tmp_path, capsys):
    more = ["trainer.precision=bf16-mixed", "model.dropout=0.1"]
    more = more[:1] if task == "cnn" else more
    for name, steps in (("whole", 6), ("resumed", 3)):
        run = [f"trainer.max_steps={steps}", f"run.dir={tmp_path / name}"]
        assert main(["fit", *words(task, *more, *run)]) == 0
    assert main(["fit", f"from={tmp_path / 'resumed'}", "trainer.max_steps=6"]) == 0
    whole, resumed = weights(tmp_path / "whole"), weights(tmp_path / "resumed")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert rows(tmp_path / "whole")[-1] == rows(tmp_path / "resumed")[-1]


DROPPED = {task: ["model.dropout=0.3"] for task in TASKS}
DROPPED["cnn"] = ["connection=stochastic_depth"]


def rank(runs, place, out):
    """One process of some runs, in float64; figures are made and not drawn."""
    os.environ.update(place)
    os.cpu_count = lambda: 3
    torch.set_default_dtype(torch.float64)
    torch.Tensor.float = torch.Tensor.double
    Figure.savefig = lambda self, path: path.touch()
    with out.open("w") as stream, redirect_stdout(stream), redirect_stderr(stream):
        codes = [main(words) for words in runs]
    os._exit(any(codes))


def among(world, folder):
    """Runs all tasks with dropout in some processes, in float64: rounding is no difference."""
    runs = []
    for task in TASKS:
        own = [*words(task, *DROPPED[task]), f"trainer.devices={world}"]
        runs.append(["fit", *own, f"run.dir={folder / task}"])
        if world == 2:
            runs.append(["fit", *own, f"run.dir={folder / 'cut' / task}", "trainer.max_steps=3"])
            runs.append(["fit", f"from={folder / 'cut' / task}", "trainer.max_steps=6"])
    told = [folder / f"rank{number}.txt" for number in range(world)]
    ranks = [start(rank, runs, *each) for each in zip(places(world), told, strict=True)]
    for process in ranks:
        process.join()
    said = [file.read_text() for file in told]
    assert [process.exitcode for process in ranks] == [0] * world, said
    assert [text.count("run folder") for text in said] == [len(runs)] + [0] * (world - 1)


@pytest.fixture(scope="module")
def worlds(tmp_path_factory):
    """The folder of the same runs in so many processes, where they are asked for."""

    @functools.cache
    def made(world):
        folder = tmp_path_factory.mktemp(f"world{world}")
        among(world, folder)
        return folder

    return made


@pytest.mark.parametrize("world", [2, pytest.param(3, marks=pytest.mark.slow)])
@pytest.mark.parametrize("task", TASKS)
def test_several_processes_equal_one(task, world, worlds):
    """Also where batches do not divide, losses are ratios over a batch, and dropout is on."""
    one, other = (weights(worlds(number) / task) for number in (1, world))
    apart = {name: (one[name] - other[name]).abs().max().item() for name in one}
    assert max(apart.values()) < 1e-9, max(apart, key=apart.get)
    one, other = (RunFolder(worlds(number) / task).result()["metrics"] for number in (1, world))
    assert one == pytest.approx(other, abs=1e-6)
    pairs = zip(*(rows(worlds(number) / task) for number in (1, world)), strict=True)
    assert all(first == pytest.approx(second, abs=1e-6) for first, second in pairs)


@pytest.mark.parametrize("task", TASKS)
def test_two_processes_continue_the_run_that_was_not_cut(task, worlds):
    whole, cut = weights(worlds(2) / task), weights(worlds(2) / "cut" / task)
    assert all(torch.equal(whole[name], cut[name]) for name in whole)
