"""What a row of the log tells of training: rate, norm of the gradient, steps per second."""

import json

import pytest
import torch
from pytorch_lightning import Callback
from small_runs import SMALL, fit

from tasks.gnn.task import NodeClassification
from tasks.training.build import build_task, build_trainer_options
from tasks.training.loggers import NoLogger
from tasks.training.metrics_logger import MetricsLogger
from tasks.training.process import logged
from zoo.config.compose import load
from zoo.probes.plots import curves_figure
from zoo.run_folder import RunFolder

STATED = {"train/lr", "train/grad_norm", "train/steps_per_second"}


class Watch(Callback):
    """Notes, before every step, the rate and the gradient's length; may spoil the gradient."""

    def __init__(self, spoil=1.0):
        self.seen = {}
        self.spoil = spoil

    def on_before_optimizer_step(self, trainer, task, optimizer):
        grads = [p.grad.mul_(self.spoil) for p in task.parameters()]
        length = sum(grad.double().square().sum() for grad in grads) ** 0.5
        (rate,) = {group["lr"] for group in optimizer.param_groups}
        self.seen[trainer.global_step + 1] = (rate, length.item())


def course(folder, *words, spoil=1.0):
    """The rows of a run in training and what was noted beside it."""
    config = load([*SMALL, "trainer.accelerator=cpu", *words])[0]
    training = build_trainer_options(config)
    watch, folder = Watch(spoil), RunFolder(folder / "run")
    folder.create()
    recorder = MetricsLogger(folder, NoLogger(), training.log_every, float)
    with logged(None):
        training.trainer(None, [watch, recorder]).fit(build_task(config))
    recorder.close()
    return [row for row in folder.rows() if "train/loss" in row], watch.seen


@pytest.mark.parametrize("clip", ["null", "0.01"])
@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_row_tells_the_rate_and_the_gradient_of_its_step(clip, accumulate, precision, tmp_path):
    given = ["optimizer.warmup=4", "optimizer.schedule=cosine", "trainer.log_every=3"]
    given += [f"trainer.clip={clip}", f"trainer.accumulate={accumulate}", "trainer.max_steps=10"]
    found, seen = course(tmp_path, *given, f"trainer.precision={precision}")
    assert [row["step"] for row in found] == [3, 6, 9]
    for row in found:
        rate, length = seen[row["step"]]
        assert row["train/lr"] == rate
        assert row["train/grad_norm"] == pytest.approx(length, rel=1e-5)
        assert row["train/grad_norm"] > 0.01
        assert row["train/steps_per_second"] > 0
    assert len({row["train/lr"] for row in found}) == 3


def test_a_gradient_that_is_not_finite_is_null_in_its_row(tmp_path):
    found, _ = course(tmp_path, "trainer.log_every=1", "trainer.max_steps=1", spoil=torch.inf)
    assert found[0]["train/grad_norm"] is None
    json.dumps(found, allow_nan=False)


def test_a_task_with_figures_on_the_way_draws_them_after_each_validation(tmp_path, monkeypatch):
    drawn = []
    draw = lambda self, step: drawn.append(step) or {}  # noqa: E731
    monkeypatch.setattr(NodeClassification, "progress_figures", draw)
    course(tmp_path, "trainer.validate_every=2", "trainer.max_steps=4")
    assert drawn == [2, 4]


def test_every_row_of_the_training_loss_has_them_and_no_figure_shows_them(tmp_path, capsys):
    fit(tmp_path / "run", "trainer.validate_every=5")
    found = list(RunFolder(tmp_path / "run").rows())
    for row in found:
        assert STATED & row.keys() == (STATED if "train/loss" in row else set())
    drawn = [axis.get_ylabel() for axis in curves_figure(found, "").axes]
    assert drawn == ["loss", "accuracy"]


def test_what_the_bar_shows_is_losses_and_metrics(tmp_path, monkeypatch):
    shown = set()
    monkeypatch.setattr(
        "tasks.training.progress.Progress.update", lambda s, step, v: shown.update(v)
    )
    fit(tmp_path / "run")
    assert shown == {"train/loss", "val/loss", "val/accuracy"}
