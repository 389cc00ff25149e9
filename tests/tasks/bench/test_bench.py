"""`bench`: every kind measures what it says, here with budgets of moments."""

import copy
import json

import pytest
import torch
from pytorch_lightning import Callback
from small_domains import SMALL, TASKS
from torch import nn

from tasks.bench import activations as bench_memory
from tasks.bench import compilation
from tasks.bench import diagnose as bench_diagnose
from tasks.bench import fit as bench
from tasks.bench import reference as bench_twin
from tasks.bench import reference_graphs as bench_graphs
from tasks.bench import rules as bench_rules
from tasks.bench.bare_loop import BareLoop
from tasks.bench.conditions import one_process
from tasks.training.build import build_task
from tasks.training.process import logged
from zoo.cli.main import main
from zoo.config import registry
from zoo.config.compose import load
from zoo.seeding import redraw

LIMITS = ["trainer.max_steps=7", "trainer.max_epochs=null", "trainer.validate_every=3"]
LIMITS += ["trainer.accelerator=cpu", "optimizer.schedule=cosine"]


def sgd(model):
    return torch.optim.SGD(model.parameters(), 0.1)


def measured(capsys, *words):
    assert main(["--json", "bench", *words, "trainer.accelerator=cpu"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("task", TASKS)
def test_fit_is_measured_against_a_bare_loop(task, capsys, monkeypatch):
    monkeypatch.setattr(bench, "BLOCK_SECONDS", 0.0)
    monkeypatch.setattr(bench, "BLOCKS", 3)
    monkeypatch.setattr(bench, "TOTAL_SECONDS", 0.0)
    costs = measured(capsys, f"task={task}", *SMALL[task], "trainer.validate_every=2")
    assert (costs["blocks"], costs["steps_a_block"]) == (4, 1)
    low, high = costs["added_interval_ms"]
    assert low < costs["added_ms"] < high
    assert costs["added_ms"] == pytest.approx(costs["fit_ms"] - costs["bare_ms"])


@pytest.mark.parametrize("task", TASKS)
def test_the_bare_loop_trains_the_same_weights(task):
    """Schedule and clipping included, whatever gradients were there: `fit` adds cost alone."""
    options = ["optimizer=sgd", "optimizer.warmup=2", "trainer.clip=0.01", *LIMITS]
    config, _ = load([f"task={task}", *SMALL[task], *options])
    training = one_process(config)
    task = build_task(config)
    redraw(task.model, 0)
    task.setup("fit")
    bare = BareLoop(copy.deepcopy(task), training.steps(task), training)
    torch.manual_seed(0)
    bare.run(training.steps(task))
    torch.manual_seed(0)
    training.ema = None  # the weights would be the averages at the end
    for parameter in task.model.parameters():
        parameter.grad = torch.ones_like(parameter)
    with logged(None):
        training.trainer(task, []).fit(task)
    ours, theirs = task.model.state_dict(), bare.task.model.state_dict()
    torch.testing.assert_close(dict(ours), dict(theirs), rtol=1e-5, atol=1e-6)


def test_gradients_live_from_the_first_batch_of_a_step_to_its_end():
    class Look(Callback):
        def on_train_batch_end(self, trainer, task, *_):
            held.append(any(p.grad is not None for p in task.model.parameters()))

    held: list[bool] = []
    config, _ = load(["task=cnn", *SMALL["cnn"], *LIMITS])
    training = one_process(config)
    training.max_steps, training.accumulate = 2, 3
    task = build_task(config)
    with logged(None):
        training.trainer(task, [Look()]).fit(task)
    assert held == [True, True, False] * 2


def test_every_rule_is_measured_against_residual(capsys, monkeypatch):
    monkeypatch.setattr(bench_rules, "ROUNDS", 1)
    costs = measured(capsys, "of=rules", "task=gnn", *SMALL["gnn"])["rules"]
    assert list(costs) == registry.names("connection")
    assert costs["residual"]["memory"] == 1.0
    assert costs["residual"]["parameters_a_site"] == 0 < costs["highway"]["parameters_a_site"]


@pytest.mark.slow
def test_compilation_by_depth(capsys, monkeypatch):
    """Each time stands for a compilation of its own: no cache shortens a later one."""
    monkeypatch.setattr(compilation, "DEPTHS", {"cnn": (8, 14)})
    record = measured(capsys, "of=compile", "task=cnn", "model.width=4")
    assert record["depths"] == [8, 14]
    found = torch._inductor.utils.counters["inductor"]
    assert found["fxgraph_cache_miss"] >= 5  # a kind of write thrice, and two whole nets
    assert not found["fxgraph_cache_hit"]
    assert {way: len(times) for way, times in record["seconds"].items()} == {
        "trainer.compile=true": 2,
        "trainer.compile=whole": 2,
    }
    assert min(min(times) for times in record["seconds"].values()) > 0


@pytest.mark.parametrize(
    ("task", "depths"),
    [("cnn", (8, 20, 56)), pytest.param("transformer", (3, 9, 27), marks=pytest.mark.slow)],
)
def test_memory_by_depth(task, depths, capsys, monkeypatch, tmp_path):
    """Less is stored the more is computed again, and nothing grows where all is undone."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bench_memory, "DEPTHS", {task: depths})
    monkeypatch.setattr(bench_memory, "ROUNDS", 1)
    record = measured(capsys, "of=memory", f"task={task}", "norm=pre", "model.width=4")
    peaks = record["bytes"]
    shares = [peaks[name][2] for name in list(peaks)[:4]]
    assert shares == sorted(shares, reverse=True)
    assert len(set(shares)) == 4
    assert {name: len(ratios) for name, ratios in record["time"].items()} == dict.fromkeys(peaks, 3)
    assert peaks["residual"][2] > 2 * peaks["residual"][1]
    assert peaks["reversible"][2] < 1.2 * peaks["reversible"][1]
    assert peaks["reversible"][2] < peaks["residual, checkpointed"][2] < peaks["residual"][2]
    assert (tmp_path / record["picture"]).is_file()


@pytest.mark.parametrize(
    ("task", "words", "arms"),
    [
        ("cnn", [], 4),
        ("transformer", [], 3),
        ("transformer", ["trainer.compile=true"], 4),
        ("gnn", [], 3),
    ],
)
def test_twins_are_the_same_nets(task, words, arms, capsys, monkeypatch):
    monkeypatch.setattr(bench_twin, "SECONDS", 0.0)
    monkeypatch.setattr(bench_twin, "ROUNDS", 1)
    monkeypatch.setattr(bench_twin, "BATCH", 2)
    monkeypatch.setattr(bench_twin, "DEPTHS", (8,))
    monkeypatch.setattr(bench_twin, "GPTS", [bench_twin.GPTS[1] | {"depth": 1, "width": 8}])
    monkeypatch.setattr(bench_graphs, "DEPTH", 2)
    assert len(measured(capsys, "of=twin", f"task={task}", *words)["nets"]) == arms
    for made in bench_twin.NETS[task](sgd, sgd).values():
        shapes = [sorted(tuple(p.shape) for p in arm.model.parameters()) for arm in made.values()]
        assert all(shape == shapes[0] for shape in shapes)


@pytest.mark.parametrize(
    ("task", "word"), [("cnn", "optimizer.momentum=0.7"), ("transformer", "optimizer.beta1=0.7")]
)
def test_twins_train_as_the_run_does(task, word):
    """With the optimiser of `fit`; plain PyTorch has no groups, so norms and biases decay too."""
    words = ["optimizer.lr=0.03", "optimizer.weight_decay=0.02", "optimizer.schedule=constant"]
    config, _ = load([f"task={task}", *words, "optimizer.warmup=0", word])
    net = nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3))
    run = config.factory("optimizer")().build(net, 10)["optimizer"].param_groups
    (plain,), ours = (build(net).param_groups for build in bench_twin.builders(config))
    assert [group.pop("params") for group in ours] == [group.pop("params") for group in run]
    assert ours == run
    apart = ("params", "fused", "foreach")
    assert all(run[0][name] == value for name, value in plain.items() if name not in apart)


def test_diagnoses_are_scored_by_cause_and_half(monkeypatch, capsys):
    nets = bench_diagnose.scored_nets()
    chosen = [net for net in nets.PLANTED if net.cause == "tiny_batch_norm" and "n" in net.net]
    healthy = [net for net in nets.HEALTHY if net.name in ("gnn, residual, 4", "sage")]
    monkeypatch.setattr(nets, "PLANTED", chosen)
    monkeypatch.setattr(nets, "HEALTHY", healthy)
    assert main(["--json", "bench", "of=diagnose"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert [row["found"] for row in record["planted"]] == [True] * len(chosen)
    assert {row["named"] for row in record["planted"]} == {None}  # the batch is the fault
    states = [(row["half"], row["state"]) for row in record["healthy"]]
    trained = [("second", state) for state in ("start", "trained", "in evaluation")]
    assert states == [("first", "start"), *trained]
    record["planted"][0] |= {"named": False, "found": False, "reason": "of old age"}
    record["healthy"][0] |= {"causes": ["dead_units"], "findings": ["a word"]}
    text = bench_diagnose.table(record)
    assert "| dead_units | 0 / 0 | 0 / 0 | 1 | 0 / 0 | 0 / 0 | 0 |" in text
    assert "of old age" in text
    assert "accused: gnn, residual, 4, start: a word" in text


def test_without_the_tests_of_the_project_there_is_no_score(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(bench_diagnose, "TESTS", tmp_path)
    assert main(["bench", "of=diagnose"]) == 2
    assert "run it in a clone of the project" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["of=diagnose", "task=gnn"], "nets of its own"),
        (["of=twn"], "did you mean twin"),
        (["of=twin", "task=unet"], "use task=cnn or task=transformer"),
        (["of=memory", "task=gnn"], "add task=cnn norm=pre"),
        (["of=compile", "task=cnn", "trainer.compile=true"], "leave trainer.compile out"),
        (["of=twin", "task=gnn", "connection=plain"], "the twins are nets of their own"),
        (["of=compile", "task=cnn", "model.depth=20"], "leave model.depth out"),
        (["of=rules", "task=gnn", "trainer.precision=bf16-mixed"], "in float32"),
        (["task=gnn", "trainer.compile=true"], "both loops are eager"),
    ],
)
def test_mistakes_are_one_line(words, said, capsys):
    assert main(["bench", *words, "trainer.accelerator=cpu"]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
