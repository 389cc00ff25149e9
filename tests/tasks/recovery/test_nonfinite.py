"""Steps whose numbers are lost: told, left out, gone back on; and losses out of the usual."""

import itertools
import json
import os
import signal

import pytest
import torch
from forked import places, speak, start
from small_runs import weights
from tiny_runs import words
from torch import nn

from tasks.cnn.task import ImageClassification
from tasks.recovery import nonfinite
from tasks.recovery.origin import origin_of_lost
from tasks.training.loss_scaling import MixedPrecision
from tasks.training.module import Task
from tasks.training.trainer import TrainerOptions
from zoo.cli.main import main
from zoo.probes.nonfinite_origin import origin_of_non_finite
from zoo.run_folder import RunFolder

NAN = float("nan")


pytestmark = pytest.mark.usefixtures("shrunk")


@pytest.fixture
def planted(monkeypatch):
    """Multiplies the training loss of some batches, counted from 1, or adds to it alone."""
    loss = ImageClassification.loss

    def plant(factors, act=lambda number: None, addends={}):  # noqa: B006 (never changed)
        def planted_loss(self, batch, shard):
            number = batch[0] + 1
            if torch.is_grad_enabled():
                act(number)
            addend = addends.get(number, 0.0)  # its gradient is 0
            return loss(self, batch, shard) * factors.get(number, 1.0) + addend

        monkeypatch.setattr(ImageClassification, "loss", planted_loss)

    return plant


@pytest.fixture
def steep(monkeypatch):
    """Takes from some batches, counted from 1, the gradient of a loss that stays finite."""
    loss = ImageClassification.loss

    def plant(numbers):
        def steep_loss(self, batch, shard):
            value = loss(self, batch, shard)
            if batch[0] + 1 not in numbers:
                return value
            return value + (0 * next(self.model.parameters())).sum().sqrt()  # 0, of endless slope

        monkeypatch.setattr(ImageClassification, "loss", steep_loss)

    return plant


def fit(folder, *more, code=0, task="cnn"):
    assert main(["fit", *words(task, "trainer.max_steps=20", *more), f"run.dir={folder}"]) == code
    return RunFolder(folder).result()


def same(one, other):
    a, b = weights(one), weights(other)
    assert a.keys() == b.keys()
    return all(torch.equal(a[name], b[name]) for name in a)


def without_times(folder):
    rows = RunFolder(folder).rows()
    return [{k: v for k, v in row.items() if k != "train/steps_per_second"} for row in rows]


@pytest.mark.fault(24)
@pytest.mark.parametrize("clip", ["trainer.clip=null", "trainer.clip=1.0"])
def test_a_run_that_diverges_names_step_batch_and_place_and_keeps_its_checkpoint(
    clip, planted, tmp_path, capsys
):
    planted({7: NAN})
    result = fit(tmp_path / "run", clip, "trainer.save_minutes=0", code=4)
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert "train/loss is not finite at step 7, batch 7: first in the loss" in line
    assert result["status"] == "diverged"
    kept = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert kept["global_step"] == 6
    assert all(value.isfinite().all() for value in kept["state_dict"].values())


ACCUMULATED = "trainer.accumulate=4 trainer.save_minutes=0"  # step 3 has the batches 9 to 12


@pytest.mark.fault(24)
@pytest.mark.parametrize("clip", ["trainer.clip=null", "trainer.clip=1.0"])
@pytest.mark.parametrize("number", [10, 12])
def test_of_the_batches_of_a_step_the_one_that_lost_its_loss_is_named(
    number, clip, planted, tmp_path, capsys
):
    planted({number: NAN})
    fit(tmp_path / "run", ACCUMULATED, clip, code=4)
    said = f"train/loss is not finite at step 3, batch {number}: first in the loss"
    assert said in capsys.readouterr().err


@pytest.mark.fault(24)
@pytest.mark.parametrize(
    ("lost", "policy"), [({9}, "stop"), ({10, 11}, "skip"), ({10, 12}, "rollback"), ({12}, "stop")]
)
def test_of_the_batches_of_a_step_the_first_that_lost_its_gradient_is_named(
    lost, policy, steep, tmp_path, capsys
):
    steep(lost)
    more = ["trainer.clip=1.0", f"trainer.on_nonfinite={policy}", "trainer.max_steps=4"]
    fit(tmp_path / "run", ACCUMULATED, *more, code=4 if policy == "stop" else 0)
    said = f"the norm of the gradient is not finite at step 3, batch {min(lost)}"
    assert f"{said}: first in the gradient of the weights model.stem." in capsys.readouterr().err


def test_where_no_batch_of_a_step_is_lost_alone_all_are_named(planted, tmp_path, capsys):
    """Each gradient is finite, and the norm of their sum is not."""
    planted(dict.fromkeys(range(9, 13), 1e38))
    fit(tmp_path / "run", ACCUMULATED, "trainer.clip=1.0", code=4)
    assert "the norm of the gradient is not finite at step 3, batches 9 to 12 --" in (
        capsys.readouterr().err
    )


@pytest.mark.fault(24)
def test_a_step_too_large_is_told_by_the_weights_that_it_lost(tmp_path, capsys):
    fit(tmp_path / "run", "optimizer=sgd optimizer.lr=1e30 norm=none", code=4)
    said = capsys.readouterr().err
    assert "not finite at step 2, batch 2" in said or "not finite at step 3, batch 3" in said
    assert "model." in said


def on_the_device(monkeypatch):
    """Leaves out and looks as where a look waits for a device: every few steps."""
    start = nonfinite.NonFiniteGuard.on_train_start

    def begin(self, trainer, task):
        every = self.every
        start(self, trainer, task)
        self.every, self.updates.told = every, "device"

    monkeypatch.setattr(nonfinite.NonFiniteGuard, "on_train_start", begin)


@pytest.mark.fault(24)
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("device", [False, True])
def test_a_step_left_out_is_a_step_that_never_was(
    optimizer, device, planted, tmp_path, monkeypatch
):
    """Left out on the device, without a look, as well. Nothing in the net knows of the batch.

    The reference takes the same steps with a rate of nought in the lost ones.
    """
    given = [f"optimizer={optimizer}", "optimizer.weight_decay=0.01", "trainer.on_nonfinite=skip"]
    given += ["trainer.lookahead=3"] if optimizer == "sgd" else []  # it averages statistics
    if device:
        on_the_device(monkeypatch)
    planted({1: NAN, 9: float("inf")}, addends={8: NAN})
    result = fit(tmp_path / "skipped", *given)
    assert result["status"] == "done"
    assert [(event["step"], event["kind"]) for event in result["events"]] == [
        (1, "skip"),
        (8, "skip"),
        (9, "skip"),
    ]
    assert result["lost_steps"] == 3
    rows = list(RunFolder(tmp_path / "skipped").rows())
    assert [row["step"] for row in rows if row.get("train/loss", 0) is None] == [8]
    planted({})
    reference(monkeypatch, {1, 8, 9})
    fit(tmp_path / "reference", *given)
    assert same(tmp_path / "skipped", tmp_path / "reference")


def reference(monkeypatch, lost):
    """Takes the gradients of some steps away, and puts back the running statistics they moved."""
    step = ImageClassification.optimizer_step
    kept = {}

    def without(self, epoch, batch_idx, optimizer, optimizer_closure=None):
        number = self.trainer.global_step + 1
        kept.update({k: v.clone() for k, v in self.model.named_buffers()})

        def closure():
            value = optimizer_closure()
            if number in lost:
                for parameter in self.model.parameters():
                    parameter.grad = None
                for name, buffer in self.model.named_buffers():
                    buffer.copy_(kept[name])
            return value

        return step(self, epoch, batch_idx, optimizer, closure)

    monkeypatch.setattr(ImageClassification, "optimizer_step", without)


@pytest.mark.fault(24)
def test_running_statistics_forget_a_batch_that_is_not_finite(tmp_path, monkeypatch):
    """A batch of NaN reaches batch norm's statistics in the forward pass."""
    inputs = ImageClassification.inputs

    def poisoned(self, number, *given):
        x, *rest = inputs(self, number, *given)
        return x * (NAN if number == 5 else 1.0), *rest

    monkeypatch.setattr(ImageClassification, "inputs", poisoned)
    result = fit(tmp_path / "run", "trainer.on_nonfinite=skip", "trainer.ema=0.9")
    assert result["status"] == "done"
    assert all(value.isfinite().all() for value in weights(tmp_path / "run").values())


@pytest.mark.fault(24)
def test_lost_steps_are_bounded(planted, tmp_path, capsys):
    planted(dict.fromkeys((4, 6, 8), NAN))
    given = ["trainer.on_nonfinite=skip", "trainer.nonfinite_limit=2"]
    result = fit(tmp_path / "run", *given, code=4)
    assert result["lost_steps"] == 3
    assert "at step 8, batch 8" in capsys.readouterr().err


@pytest.mark.fault(24)
def test_a_run_returns_to_its_last_validation_and_goes_on_behind_the_lost_batch(
    planted, tmp_path, monkeypatch
):
    """It is the run whose batches 7 to 9 were never there."""
    given = ["trainer.on_nonfinite=rollback", "trainer.ema=0.9", "trainer.validate_every=6"]
    planted({9: NAN})
    result = fit(tmp_path / "run", *given)
    assert result["status"] == "done"
    (event,) = result["events"]
    assert event == {"step": 9, "kind": "rollback", "value": None, "to": 6, "batches": [7, 9]}
    assert (tmp_path / "run" / "log.txt").read_text().count(" parameters, ") == 1
    assert list((tmp_path / "run" / "checkpoints").glob("rollback.ckpt"))

    planted({})
    loader = ImageClassification.train_loader

    def without(self, number=0):
        first = itertools.islice(loader(self, number), max(0, 6 - number))
        return itertools.chain(first, loader(self, max(number, 6) + 3))

    monkeypatch.setattr(ImageClassification, "train_loader", without)
    fit(tmp_path / "reference", *given)
    assert same(tmp_path / "run", tmp_path / "reference")
    assert without_times(tmp_path / "run") == without_times(tmp_path / "reference")


@pytest.mark.parametrize("when", [3, 6, 8, 11, 14])
def test_a_run_that_returned_and_was_interrupted_is_the_run(when, planted, tmp_path):
    """Interrupted before the return, in the lost stretch, and after it."""
    given = ["trainer.on_nonfinite=rollback", "trainer.validate_every=6"]
    planted({9: NAN})
    fit(tmp_path / "whole", *given)
    seen = []

    def interrupt(number):
        seen.append(number)
        if len(seen) == when:
            os.kill(os.getpid(), signal.SIGTERM)

    planted({9: NAN}, interrupt)
    fit(tmp_path / "resumed", *given, code=143)
    assert main(["fit", f"from={tmp_path / 'resumed'}"]) == 0
    assert same(tmp_path / "whole", tmp_path / "resumed")
    assert without_times(tmp_path / "whole") == without_times(tmp_path / "resumed")
    whole, resumed = (RunFolder(tmp_path / name).result() for name in ("whole", "resumed"))
    assert whole["events"] == resumed["events"]
    names = ["last.ckpt", "best.ckpt", "rollback.ckpt"]
    for name in names:
        one, other = (tmp_path / run / "checkpoints" / name for run in ("whole", "resumed"))
        assert one.read_bytes() == other.read_bytes()


@pytest.mark.fault(24)
@pytest.mark.parametrize("policy", ["skip", "rollback"])
def test_a_run_that_diverged_goes_on_by_another_policy(policy, planted, tmp_path):
    planted({9: NAN})
    fit(tmp_path / "run", "trainer.save_minutes=0 trainer.validate_every=6", code=4)
    assert main(["fit", f"from={tmp_path / 'run'}", f"trainer.on_nonfinite={policy}"]) == 0
    result = RunFolder(tmp_path / "run").result()
    (event,) = result["events"]
    assert (result["status"], event["step"], event.get("to", 8)) == ("done", 9, 8)


@pytest.mark.fault(25)
def test_a_loss_far_above_the_usual_is_recorded(planted, tmp_path, capsys):
    planted({14: 100.0})
    result = fit(tmp_path / "run")
    (event,) = result["events"]
    assert (event["step"], event["kind"]) == (14, "spike")
    assert event["value"] > 10 * event["median"]
    assert result["status"] == "done"
    assert "at step 14" in capsys.readouterr().err


NO_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")


@pytest.fixture(params=["cpu", pytest.param("gpu", marks=[pytest.mark.gpu, NO_GPU])])
def fp16(request, monkeypatch):
    """Options of fp16 with PyTorch's scaler, which runs on the CPU as well."""
    if request.param == "gpu":
        return ["trainer.accelerator=gpu", "trainer.precision=16-mixed"]
    trainer = TrainerOptions.trainer

    def in_fp16(self, task, callbacks, plugins=()):
        self.precision = None  # Lightning takes one of the two
        return trainer(self, task, callbacks, [*plugins, MixedPrecision("cpu")])

    monkeypatch.setattr(TrainerOptions, "trainer", in_fp16)
    return ["trainer.accelerator=cpu"]


@pytest.mark.fault(24)
@pytest.mark.parametrize("clip", ["trainer.clip=null", "trainer.clip=1.0"])
def test_a_run_in_fp16_that_makes_no_step_has_diverged(clip, fp16, steep, tmp_path, capsys):
    """The scaler would leave out every step of a finite loss and end with the weights it had."""
    steep(range(1, 99))
    result = fit(tmp_path / "run", *fp16, clip, code=4)
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    step = 18 if "trainer.accelerator=gpu" in fp16 else 17  # on a GPU each second one is looked at
    said = f"the gradient, scaled by {2.0 ** (16 - step):g} for fp16, is not finite at step {step}"
    assert f"{said}, batch {step}" in line
    assert "trainer.precision=bf16-mixed" in line
    assert result["status"] == "diverged"
    assert said in result["reason"]


@pytest.mark.parametrize("lost", [5, 4])
def test_a_run_too_short_for_the_scale_of_fp16_says_so(lost, fp16, steep, tmp_path, capsys):
    steep(range(1, lost + 1))
    fit(tmp_path / "run", *fp16, "trainer.max_steps=5")
    assert ("fp16 left out all 5 steps" in capsys.readouterr().err) == (lost == 5)


def test_a_scale_below_1_that_grows_again_is_no_news(fp16, steep, tmp_path, monkeypatch):
    """The scaler begins to count anew where it grows, as where it leaves out a step."""
    made = torch.amp.GradScaler.__init__

    def low(self, *given, **options):
        made(self, *given, **options | {"init_scale": 0.25, "growth_interval": 6})

    monkeypatch.setattr(torch.amp.GradScaler, "__init__", low)
    steep([])
    fit(tmp_path / "run", *fp16, "trainer.max_steps=7")


def test_a_scale_that_fp16_finds_is_no_news(fp16, steep, tmp_path):
    """Steps are left out until the scale fits; a last one as well."""
    steep({1, 2, 3, 4, 20})
    result = fit(tmp_path / "run", *fp16)
    assert (result["status"], result["lost_steps"], result["events"]) == ("done", 0, [])


@pytest.mark.parametrize("policy", ["skip", "rollback"])
def test_a_scale_that_is_used_up_follows_the_policy(policy, fp16, steep, tmp_path):
    steep(range(1, 19))
    result = fit(tmp_path / "run", *fp16, f"trainer.on_nonfinite={policy}")
    assert result["status"] == "done"
    assert {event["kind"] for event in result["events"]} == {policy}
    assert result["events"][0]["step"] in (17, 18)
    steep(range(1, 999))
    limit = "trainer.nonfinite_limit=2"
    result = fit(tmp_path / "never", *fp16, f"trainer.on_nonfinite={policy}", limit, code=4)
    assert (result["status"], result["lost_steps"]) == ("diverged", 3)


def loses(words, place, err):
    """One process of a command; the loss of the third batch is lost in process 1."""
    os.environ.update(place)
    loss = ImageClassification.loss

    def planted_loss(self, batch, shard):
        return loss(self, batch, shard) * (NAN if (batch[0], shard.rank) == (2, 1) else 1.0)

    ImageClassification.loss = planted_loss
    speak(words, err)


@pytest.mark.fault(24)
def test_processes_agree_on_a_lost_step(tmp_path):
    """The loss of one of two processes is lost; the sum of the gradients is, in both."""
    given = words("cnn", "trainer.max_steps=4 trainer.devices=2 trainer.accelerator=cpu")
    for policy, code in (("rollback", 0), ("stop", 4)):
        command = ["fit", *given, f"trainer.on_nonfinite={policy}", f"run.dir={tmp_path / policy}"]
        told = tmp_path / f"{policy}.txt"
        ranks = [start(loses, command, place, told) for place in places(2)]
        for process in ranks:
            process.join()
        assert [process.exitcode for process in ranks] == [code, code], told.read_text()
        assert "(process 1)" in told.read_text()
    (event,) = json.loads((tmp_path / "rollback" / "result.json").read_text())["events"]
    assert event["batches"] == [3, 3]


# Where a number is lost.


class Root(nn.Module):
    """The square root: NaN below 0, no finite gradient at 0."""

    def forward(self, x):
        return x.sqrt()


class Passes(nn.Module):
    def forward(self, x):
        return 1.0 * x


def net(*middle):
    return nn.Sequential(nn.Linear(3, 3), *middle, Passes(), nn.Linear(3, 1))


@pytest.mark.parametrize(
    ("model", "x", "words"),
    [
        (net(Root()), torch.ones(2, 3), "first in the output of model.1"),
        (net(nn.ReLU(), Root()), torch.zeros(2, 3), "the gradient of the output of model.1"),
        (net(), torch.full((2, 3), NAN), "the batch itself is not finite"),
        (net(), torch.ones(2, 3), ""),
    ],
)  # fmt: skip
def test_the_first_place_where_a_number_is_lost_is_named(model, x, words):
    nn.init.constant_(model[0].weight, -1.0)
    nn.init.zeros_(model[0].bias)
    found = origin_of_non_finite(model, lambda: model(x).sum())
    assert found == words or (words and found.endswith(words))
    assert all(parameter.grad is None for parameter in model.parameters())


def test_lost_weights_and_losses_are_named():
    model = net()
    assert "in the loss" in origin_of_non_finite(model, lambda: model(torch.ones(2, 3)).sum() / 0)
    model[0].bias.data[1] = NAN
    found = origin_of_non_finite(model, lambda: model(torch.ones(2, 3)).sum())
    assert found == "the update before it lost the weights model.0.bias"


def test_a_second_look_leaves_no_trace(tmp_path, monkeypatch):
    """Running a batch again changes no weight, statistic or draw: dropout and mixup included."""
    given = ["task.mixup=0.2", "task.crop=1", "task.flip=true"]
    fit(tmp_path / "run", *given)
    step = Task.training_step

    def looked(self, batch, index):
        origin_of_lost(self.trainer, self, range(batch[0] + 1, batch[0] + 3))
        return step(self, batch, index)

    monkeypatch.setattr(Task, "training_step", looked)
    fit(tmp_path / "looked", *given)
    assert same(tmp_path / "run", tmp_path / "looked")
