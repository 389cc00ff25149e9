"""Recorded steps: a run with `trainer.graphs=true` is the run without, or is refused."""

import json
import random
import re
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from pytorch_lightning import Callback
from recorded_steps import Recorder
from second_device import second_device
from small_runs import rows, weights
from tiny_runs import fit, shrink, stopped, words

from tasks.gnn.task import NodeClassification
from tasks.training import graphs, recording
from tasks.training.trainer import TrainerOptions
from tasks.training.uncaptured import refuse_options, refuse_task, refuse_trainer
from zoo.cli.main import main
from zoo.errors import ConfigError
from zoo.run_folder import RunFolder

GRAPHS = "trainer.graphs=true"
RUNS = [  # every way in which a batch is made, and every way in which a step ends
    "gnn model.dropout=0.5 trainer.clip=0.5 trainer.ema=0.9 optimizer.lr=0.003",
    "gnn optimizer=sgd optimizer.schedule=cosine optimizer.warmup=2 trainer.log_every=1",
    "gnn optimizer=sgd optimizer.momentum=0 optimizer.nesterov=false trainer.log_every=1",
    "gnn model.conv=sage norm=pre model.norm=batch trainer.on_nonfinite=skip",
    "cnn task.crop=1 task.flip=true task.cutout=2 task.mixup=0.2 task.cutmix=1.0 trainer.ema=0.9",
    "unet model.dropout=0.2 task.loss=[cross_entropy,dice,focal] task.class_weights=balanced "
    "task.flip_vertical=true task.rotate=true task.crop=8 task.scale=1.3 task.contrast=0.2",
    "transformer model.dropout=0.2 trainer.clip=1.0 trainer.precision=bf16-mixed "
    "optimizer.schedule=cosine optimizer.warmup=3",
    "diffusion model.conditional=true task.flip=true model.dropout=0.2 diagnostics=health",
    "cnn connection=stochastic_depth optimizer=adamw optimizer.schedule=linear",
    "cnn trainer.precision=16-mixed optimizer=sgd trainer.clip=1.0 trainer.on_nonfinite=skip "
    "trainer.lookahead=2",
]
QUICK = RUNS[:1]


@pytest.fixture(autouse=True)
def small(monkeypatch):
    shrink(monkeypatch)
    monkeypatch.setattr(graphs, "Recorder", Recorder)


def run(folder, *given):
    """Log and weights of a run on a second device of its own."""
    with second_device():
        fit(folder, *given)
    return rows(folder), weights(folder)


def same(one, other):
    assert one[0] == other[0]
    torch.testing.assert_close(one[1], other[1], rtol=0, atol=0)


def cases(all_of_them, quick):
    slow = [pytest.param(c, marks=pytest.mark.slow) for c in all_of_them if c not in quick]
    return [*quick, *slow]


@pytest.mark.parametrize("options", cases(RUNS, QUICK))
def test_a_run_is_the_run_without_also_where_it_goes_on(options, tmp_path, capsys):
    """The second part warms up again."""
    task, *more = options.split()
    given = words(task, *more, "trainer.max_steps=9")
    whole = run(tmp_path / "whole", *given)
    same(run(tmp_path / "graphs", *given, GRAPHS), whole)
    said = capsys.readouterr().err
    assert "6 of 9 steps repeated as CUDA graphs; kinds" in said
    assert re.search(r"zoo: [1-9]\d* of \d+ batches of validations repeated", said)
    with second_device():
        stopped(tmp_path / "parts", 5, *given, GRAPHS)
    with second_device():
        assert main(["fit", f"from={tmp_path / 'parts'}"]) == 0
    assert "1 of 4 steps" in capsys.readouterr().err
    same((rows(tmp_path / "parts"), weights(tmp_path / "parts")), whole)


def test_without_a_gpu_a_run_goes_on_by_ordinary_steps(tmp_path, capsys):
    given = words("gnn", "model.dropout=0", "trainer.max_steps=4")
    run(tmp_path / "run", *given, GRAPHS)
    here = [f"from={tmp_path / 'run'}", "trainer.max_steps=6"]
    assert main(["fit", *here]) == 2
    assert main(["test", here[0]]) == 0
    assert main(["verify", here[0]]) == 2
    capsys.readouterr()
    assert main(["--json", "verify", here[0], "trainer.graphs=false"]) in (0, 7)  # by rounding
    found = json.loads(capsys.readouterr().out)
    assert (found["steps"], found["changed"]["graphs"]) == (4, [True, False])
    assert main(["fit", *here, "trainer.graphs=false"]) == 0
    assert rows(tmp_path / "run")[-1]["step"] == 6


@pytest.mark.parametrize("policy", cases(["skip", "stop", "rollback"], ["skip"]))
def test_a_lost_step_is_left_out_and_told_as_ever(policy, tmp_path, monkeypatch):
    """Its batch is lost while the step is repeated."""

    def prepared(self, batch, shard):
        step = self.trainer.global_step + self.dropped_batches + 1
        return *batch, torch.full((), torch.nan if step == 6 else 1.0, device=self.device)

    def loss_of(self, nodes, weight, factor):
        loss = F.cross_entropy(self.model(self.x, *self.edges)[nodes], self.y[nodes])
        return loss * factor

    monkeypatch.setattr(NodeClassification, "prepared", prepared)
    monkeypatch.setattr(NodeClassification, "loss_of", loss_of)
    given = words("gnn", f"trainer.on_nonfinite={policy}", "trainer.max_steps=8")
    code = 4 if policy == "stop" else 0
    found = []
    for name, more in (("whole", ()), ("graphs", (GRAPHS,))):
        folder = tmp_path / name
        with second_device():
            assert main(["fit", *given, "trainer.log_every=4", *more, f"run.dir={folder}"]) == code
        result = RunFolder(folder).result()
        told = result["events"], result["lost_steps"], result["reason"]
        found.append((rows(folder), weights(folder) if code == 0 else {}, told))
    same(*found)
    assert found[0][2] == found[1][2]
    assert found[0][2][1] == 1


def every_other(self, batch, shard):
    """Leaves out a training node in every other step."""
    self.taken = getattr(self, "taken", 0) + 1
    nodes, weight = batch[0][self.taken % 2 :], batch[1]
    return self.y[nodes], weight, nodes, self.x, *self.edges


@pytest.mark.parametrize(
    ("most", "told"), [(1, "3 of 12"), pytest.param(8, "6 of 12", marks=pytest.mark.slow)]
)
def test_each_kind_of_batch_is_recorded_until_there_are_too_many(
    most, told, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(NodeClassification, "prepared", every_other)
    monkeypatch.setattr(recording, "MOST", most)
    given = words("gnn", "trainer.max_steps=12")
    whole = run(tmp_path / "whole", *given)
    same(run(tmp_path / "graphs", *given, GRAPHS), whole)
    assert f"{told} steps repeated as CUDA graphs; kinds of batches: 2" in capsys.readouterr().err


def waits(x):
    return x.sum().item()


def draws_on_the_host(x):
    return random.random()


def copies_to_the_device(x):
    return torch.ones(()).to(x.device, non_blocking=True)


@pytest.mark.parametrize(
    ("factor", "message"),
    [
        (waits, "a training step cannot be recorded"),
        (copies_to_the_device, "a training step cannot be recorded"),
        (draws_on_the_host, "draws random numbers outside the GPU"),
    ],
)
def test_a_step_that_cannot_be_repeated_is_told(factor, message, tmp_path, monkeypatch, capsys):
    def loss_of(self, y, weight, rows, x, *edges):
        return self.model(x, *edges)[rows].square().sum() * factor(x)

    monkeypatch.setattr(NodeClassification, "loss_of", loss_of)
    with second_device():
        given = words("gnn", "trainer.max_steps=9", GRAPHS, f"run.dir={tmp_path / 'run'}")
        assert main(["fit", *given]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.strip().endswith("give trainer.graphs=false")


@pytest.mark.parametrize(
    "options",
    [
        "gnn task.drop_edge=0.3",
        "gnn connection=reversible",
        "gnn model.checkpoint=true",
        "cnn trainer.accumulate=2",
        "cnn trainer.accelerator=cpu",
    ],
)
def test_what_has_no_graphs_is_refused_before_there_is_a_folder(options, tmp_path, capsys):
    task, *more = options.split()
    with second_device():
        given = words(task, *more, "trainer.max_steps=4", f"run.dir={tmp_path / 'run'}")
        assert main(["fit", *given, GRAPHS]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.endswith("trainer.graphs=false")
    assert not (tmp_path / "run").exists()


def sums_that_wait(self, batch):
    sums = self.sums_of(*self.eval_prepared(batch))
    return {name: torch.full((), value.item()) for name, value in sums.items()}


def test_a_task_with_sums_of_its_own_is_evaluated_as_ever(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(NodeClassification, "eval_sums", sums_that_wait)
    given = words("gnn", "trainer.max_steps=9", GRAPHS)
    run(tmp_path / "run", *given)
    said = capsys.readouterr().err
    assert "6 of 9 steps" in said
    assert "validations" not in said


def test_several_gpus_are_refused():
    with second_device():
        training = TrainerOptions(max_steps=1, graphs=True)
    training.processes = 2
    with pytest.raises(ConfigError, match="several GPUs"):
        refuse_options(training)


class OwnLoss(NodeClassification):
    def loss(self, batch, shard):
        return super().loss(batch, shard)


class InTurns(NodeClassification):
    def optimizer_step(self, *step):
        super().optimizer_step(*step)


@pytest.mark.parametrize(("kind", "name"), [(OwnLoss, "loss"), (InTurns, "optimizer_step")])
def test_a_task_with_a_step_of_its_own_is_refused(kind, name):
    with pytest.raises(ConfigError, match=f"the task has {name} of its own"):
        refuse_task(SimpleNamespace(graphs=True), kind.__new__(kind))


class Looks(Callback):
    def on_after_backward(self, *_):
        """Would be called once."""


def test_a_callback_inside_the_step_and_an_unfused_optimiser_are_refused():
    weight = torch.nn.Parameter(torch.ones(1))
    fused, plain = (torch.optim.SGD([weight], 0.1, fused=each) for each in (True, False))
    refuse_trainer(SimpleNamespace(callbacks=[Callback()], optimizers=[fused]))
    with pytest.raises(ConfigError, match="on_after_backward"):
        refuse_trainer(SimpleNamespace(callbacks=[Looks()], optimizers=[fused]))
    with pytest.raises(ConfigError, match="not fused"):
        refuse_trainer(SimpleNamespace(callbacks=[], optimizers=[plain]))
