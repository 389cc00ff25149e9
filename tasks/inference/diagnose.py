"""`diagnose`: what keeps the net of a configuration, or of a run, from training."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tasks.recovery.loading import load_last
from tasks.training.build import build_optimizer, build_task, build_trainer_options, load_weights
from tasks.training.module import Task
from tasks.training.process import logged
from tasks.training.run import refuse_changes, same_data
from zoo.config.config import Config
from zoo.diagnosis.diagnose import Diagnosis, diagnose
from zoo.diagnosis.finding import Finding
from zoo.probes.stream.profile import StreamProfile
from zoo.report import Report
from zoo.run_folder import RunFolder
from zoo.seeding import redraw

HALVES = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}  # of `trainer.precision`
ROWS = 12  # writes of a table
TRIALS = {  # for a cause the axis whose comparison tests a cure, beside what the net has
    "vanishing_gradients": ("connection", "residual"),
    "exploding_gradients": ("connection", "residual"),
    "collapsed_features": ("connection", "residual"),
    "stream_growth": ("connection", "rezero"),
    "exploding_activations": ("norm", "pre"),
    "tiny_batch_norm": ("model.norm", "group"),
}


def diagnosed(config: Config, where: str | None = None) -> Report:
    """The diagnosis of a net at its start, or of a run at its last step, on a training batch.

    The net is in training mode, as when it takes a step. Nothing is written.

    Args:
        config: of the net.
        where: folder of the run; None: the net is built anew.
    """
    words = config.overrides if where is None else RunFolder(Path(where)).words_with(["from="])
    words = [
        word for word in words if not word.startswith(("from=", "run.", "logger", "diagnostics"))
    ]
    training = build_trainer_options(config)
    with logged(None):
        torch.manual_seed(config.seed)
        task, last = fresh(config) if where is None else trained(config, RunFolder(Path(where)))
        device = torch.device("cpu") if training.accelerator == "cpu" else task.compute_device
        task.to(device)
        task.setup("fit")
        task.train()
        half = HALVES.get(training.precision)
        with torch.autocast(device.type, half, enabled=half is not None):
            batch = next(iter(task.train_loader()))
            optimizer = build_optimizer(task, training, last)
            found = diagnose(task, batch, loss, optimizer, training.clip)
    trials = [command(finding, config, words) for finding in found.findings]
    commands = list(dict.fromkeys(filter(None, trials)))
    record = {
        "findings": [asdict(finding) for finding in found.findings],
        "commands": commands,
        "profile": plain(found.profile),
    }
    return Report(record, "\n".join(lines(found, commands)))


def fresh(config: Config) -> tuple[Task, None]:
    """The task of a configuration with the weights with which its training begins."""
    task = build_task(config)
    redraw(task.model, config.seed)
    config.factory("init")().apply(task.model, config.seed)
    return task, None


def trained(config: Config, folder: RunFolder) -> tuple[Task, dict[str, Any]]:
    """The task of a run with its data and its last weights, and its last checkpoint."""
    refuse_changes(config, folder, ("data.path", "trainer.accelerator", "trainer.devices"))
    checkpoint, _ = load_last(folder.checkpoints)
    task = same_data(build_task(config), checkpoint, folder)
    load_weights(task, checkpoint, folder)
    return task, checkpoint


def loss(task: Any, batch: Any) -> Tensor:
    """The training loss of a task."""
    value: Tensor = task.loss(batch)
    return value


def command(finding: Finding, config: Config, words: list[str]) -> str:
    """The comparison that tests the cure of a finding in pairs; nothing where no axis does."""
    key, cure = TRIALS.get(finding.cause, ("", ""))
    group, _, option = key.partition(".")
    present = config.sections[group].get(option) if option else config.choices.get(group)
    if not key or present == cure:
        return ""
    kept = [word for word in words if word.partition("=")[0] not in (key, "seed")]
    task = (
        [] if any(word.startswith("task=") for word in kept) else [f"task={config.choices['task']}"]
    )
    return shlex.join(["python", "-m", "zoo", "compare", *task, *kept, f"{key}={present},{cure}"])


def lines(found: Diagnosis, commands: list[str]) -> list[str]:
    """The findings, the comparisons that test their cures, and the stream by depth."""
    text = [str(finding) for finding in found.findings] or ["No known cause is found."]
    if commands:
        text += ["", "To test the cure in pairs:", *(f"  {each}" for each in commands)]
    return [*text, "", *table(found.profile)] if found.profile else text


def table(profile: StreamProfile) -> list[str]:
    """Stream, share of the branch and gradient of some writes, from the first to the last."""
    count = len(profile.modules)
    step = max(1, -(-count // ROWS))
    shown = sorted({*range(0, count, step), count - 1})
    width = max(len("write"), *(len(profile.modules[i]) for i in shown))
    head = f"{'write':<{width}}  {'stream':>9}  {'branch/stream':>13}  {'gradient':>9}"
    return [head] + [
        f"{profile.modules[i]:<{width}}  {float(profile.stream[i]):>9.3g}  "
        f"{float(profile.ratio[i]):>13.3g}  {float(profile.gradient[i]):>9.3g}"
        for i in shown
    ]


def plain(profile: StreamProfile | None) -> dict[str, Any] | None:
    """A profile as lists of numbers; None where one is not finite."""
    if profile is None:
        return None
    fields = ("stream", "branch", "cosine", "gradient", "branch_gradient")
    numbers = {name: getattr(profile, name) for name in fields}
    values = {
        name: [value if value == value and abs(value) != float("inf") else None for value in row]
        for name, row in ((name, tensor.tolist()) for name, tensor in numbers.items())
    }
    return {"modules": profile.modules, **values}
