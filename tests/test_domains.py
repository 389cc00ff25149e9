"""What holds in every domain: all rules train, runs continue, processes do not matter."""

import functools
import itertools
import math
import os
import shutil
from contextlib import redirect_stderr, redirect_stdout

import pytest
import torch
from forked import start, torchrun_places
from matplotlib.figure import Figure
from quick import quick
from small_domains import TASKS, words
from small_runs import rows, weights
from torch.nn.parallel import DistributedDataParallel

from tasks.training import train
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


SHARED = {  # what processes draw and share, beside what the small runs have
    "cnn": ["connection=stochastic_depth", "trainer.ema=0.9", "trainer.clip=1.0"],
    "diffusion": ["model.dropout=0.3", "task.sample_every=3", "trainer.ema=0.9"],
    "gnn": ["model.dropout=0.3", "model.norm=batch", "trainer.accumulate=2"],
    "transformer": ["model.dropout=0.3", "trainer.ema=0.9", "diagnostics=health"],
    "unet": ["model.dropout=0.3", "trainer.on_nonfinite=skip", "trainer.accumulate=2"],
}
SHARED["gnn"] += [
    "trainer.lookahead=2",
    "optimizer.lr=0.5",
    "trainer.patience=3",
    "trainer.max_steps=40",
]
LESS = ["data.batch_size=2"]  # than there are processes, if these are three
OWN = ("seconds", "seconds_per_step", "peak_memory_bytes", "machine", "command")
OWN += ("devices", "strategy", "health")  # of the first process's share


def unwrapped(forward):
    """The forward of DDP's wrapper, which training alone goes through."""

    def checked(self, *args, **kwargs):
        assert self.module.training, "a validation waits for the other processes at each batch"
        return forward(self, *args, **kwargs)

    return checked


def rank(runs, place, out, expected=None):
    """One process of some runs, in float64; no figures are drawn.

    Args:
        runs: their commands.
        place: the variables of the process.
        out: the file for what it says.
        expected: the exit codes of the commands, if not 0.
    """
    os.environ.update(place)
    os.cpu_count = lambda: 3
    torch.set_default_dtype(torch.float64)
    torch.Tensor.float = torch.Tensor.double
    Figure.savefig = lambda self, path: path.touch()
    train.draw = lambda *given: {}
    DistributedDataParallel.forward = unwrapped(DistributedDataParallel.forward)
    with quick(), out.open("w") as stream, redirect_stdout(stream), redirect_stderr(stream):
        codes = [main(words) for words in runs]
    os._exit(codes != (expected or [0] * len(runs)))


def among(world, folder, runs):
    """Runs commands in some processes, in float64, where rounding is no difference."""
    told = [folder / f"rank{number}.txt" for number in range(world)]
    places = torchrun_places(world, 1 if world == 3 else world) if world > 1 else [{}]
    ranks = [start(rank, runs, *each) for each in zip(places, told, strict=True)]
    for process in ranks:
        process.join()
    said = [file.read_text() for file in told]
    assert [process.exitcode for process in ranks] == [0] * world, said
    assert [text.count("run folder") for text in said] == [len(runs)] + [0] * (world - 1)
    assert not any(said[1:]), said[1:]


def of(tasks, folder, *more):
    """The commands of a run of some tasks, each in a folder of its name."""
    return [["fit", *words(t, *SHARED[t], *more), f"run.dir={folder / t}"] for t in tasks]


def cut(tasks, folder):
    """The commands of runs that stop after three steps and go on."""
    for made, task in zip(of(tasks, folder, "trainer.max_steps=3"), tasks, strict=True):
        yield made
        yield ["fit", f"from={folder / task}", "trainer.max_steps=6"]


def flat(tree, name="", without=()):
    """The leaves of nested containers by their places."""
    if isinstance(tree, dict | list | tuple):
        pairs = tree.items() if isinstance(tree, dict) else enumerate(tree)
        inner = [flat(each, f"{name}/{key}") for key, each in pairs if key not in without]
        return dict(itertools.chain.from_iterable(each.items() for each in inner))
    return {name: tree}


def tensors(path):
    """The floating point numbers of a checkpoint by their places."""
    found = flat(torch.load(path, weights_only=True))
    return {name: x for name, x in found.items() if torch.is_tensor(x) and x.is_floating_point()}


def same(one, other):
    """That two runs are one but for rounding, in all that they leave."""
    for file in ("last", "best"):
        first, second = (tensors(each / f"checkpoints/{file}.ckpt") for each in (one, other))
        apart = {name: (first[name] - second[name]).abs().max().item() for name in first}
        assert max(apart.values()) < 1e-8, max(apart, key=apart.get)
    results = [flat(RunFolder(each).result(), without=OWN) for each in (one, other)]
    assert results[0] == pytest.approx(results[1], abs=1e-6)
    pairs = zip(rows(one), rows(other), strict=True)
    assert all(first == pytest.approx(second, abs=1e-6) for first, second in pairs)
    assert [p.name for p in one.glob("figures/*")] == [p.name for p in other.glob("figures/*")]


@pytest.fixture(scope="module")
def worlds(tmp_path_factory):
    """The folder of the same runs in so many processes, where they are asked for."""

    @functools.cache
    def made(world):
        folder = tmp_path_factory.mktemp(f"world{world}")
        runs = of(TASKS, folder)
        among(world, folder, [*runs, *cut(["cnn"], folder / "cut")] if world == 2 else runs)
        return folder

    return made


@pytest.mark.parametrize("world", [2, pytest.param(3, marks=pytest.mark.slow)])
@pytest.mark.parametrize("task", TASKS)
def test_several_processes_equal_one(task, world, worlds):
    """Started as by torchrun; three are on a machine each. Batches do not divide by them."""
    same(worlds(1) / task, worlds(world) / task)
    result = RunFolder(worlds(world) / task).result()
    machines = 3 if world == 3 else 1
    assert result["devices"] == {"processes": world, "machines": machines, "kind": "cpu"}
    if task == "gnn":
        assert result["best_step"] + 3 == result["steps"] < 40  # patience


def unlike(one, other):
    """The weights that are not the same bit for bit in two runs."""
    one, other = weights(one), weights(other)
    return [name for name in one if not torch.equal(one[name], other[name])]


def test_two_processes_continue_the_run_that_was_not_cut(worlds):
    assert unlike(worlds(2) / "cnn", worlds(2) / "cut" / "cnn") == []


@pytest.mark.slow
def test_runs_go_on_in_another_number_of_processes(worlds, tmp_path):
    """Two processes and then three, or one; in two they are those that were not cut."""
    others = [task for task in TASKS if task != "gnn"]  # which patience ends
    both = list(cut(others, tmp_path / "two"))
    begun, more = both[::2], both[1::2]
    among(2, tmp_path, begun)
    for name in ("one", "three"):
        shutil.copytree(tmp_path / "two", tmp_path / name)
    for world, name in enumerate(("one", "two", "three"), 1):
        go_on = [[w.replace("/two/", f"/{name}/") for w in command] for command in more]
        among(world, tmp_path, go_on)
    for task in others:
        assert unlike(worlds(2) / task, tmp_path / "two" / task) == []
        for name in ("one", "three"):
            same(worlds(1) / task, tmp_path / name / task)


@pytest.mark.slow
def test_a_batch_may_have_fewer_examples_than_there_are_processes(tmp_path):
    made = [task for task in TASKS if task != "gnn"]
    for world in (1, 3):
        among(world, tmp_path, of(made, tmp_path / str(world), *LESS))
    for task in made:
        same(tmp_path / "1" / task, tmp_path / "3" / task)
