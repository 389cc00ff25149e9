"""`diagnose`: what keeps the net of a configuration, or of a run, from training."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tasks.inference.diagnosis_words import facts, lines, plain, title
from tasks.inference.further import Further
from tasks.inference.trials import command, trials_of, tried
from tasks.recovery.loading import load_last
from tasks.training.build import build_optimizer, build_task, build_trainer_options, load_weights
from tasks.training.continued import refuse_changes, same_data
from tasks.training.module import Task
from tasks.training.process import logged
from zoo.compare.design.spec import declare
from zoo.config.config import Config
from zoo.diagnosis.diagnose import Diagnosis, diagnose
from zoo.diagnosis.page import Trial, html
from zoo.errors import ConfigError
from zoo.report import Report
from zoo.run_folder import RunFolder
from zoo.seeding import redraw
from zoo.system.atomic import atomic_write
from zoo.system.console import say

HALVES = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}  # of `trainer.precision`
PAGE = "diagnosis.html"
CHANGEABLE = ("data.path", "trainer.accelerator", "trainer.devices", "trainer.strategy", "logger")


class Diagnose:
    """Looks for known causes in one pass over a training batch, and writes a page of findings.

    The net is in training mode, as when it takes a step. Nothing but the page is written.

    Args:
        dir: folder of the page; None: that of the run, or runs/diagnosis-TASK-CONNECTION.
        full: measure the gradient by the length of its way, and what a run loses without each
            branch, however long it takes; None: where it takes half a minute at most.
        trial: run the comparisons that test the cures, and add their verdicts to the page.
    """

    def __init__(self, dir: str | None = None, full: bool | None = None, trial: bool = False):
        self.dir, self.full, self.trial = dir, full, trial

    def __call__(self, config: Config, where: str | None, words: Sequence[str]) -> Report:
        """Returns what is found, once its page is written.

        Args:
            config: of the net.
            where: folder of the run; None: the net is built anew.
            words: of the comparisons that test cures, such as `pairs=3`.
        """
        declare(words)  # refuses wrong ones
        folder = page_folder(config, self.dir or where)
        found = diagnosed(config, where, self.full)
        trials = trials_of(found.findings, config, words)
        shown = [Trial(command(words), causes) for words, causes in trials.items()]
        page = folder / PAGE

        def write() -> None:
            atomic_write(page, html(found, title(config, where), facts(config, where), shown))

        write()
        text, code, compared = lines(found, [each.command for each in shown]), 0, []
        if self.trial:
            say(f"the findings stand in {page}; comparisons that follow: {len(shown)}")
            text += [] if trials else ["", "No axis of the zoo tests a cure."]
        for number, (words, causes) in enumerate(trials.items() if self.trial else ()):
            shown[number], report = tried(words, causes, folder)
            write()
            text += ["", f"{command(words)}:", report.text]
            code = max(code, report.code)
            compared.append({**asdict(shown[number]), "code": report.code})
        record = {
            "findings": [finding.plain() for finding in found.findings],
            "commands": [each.command for each in shown],
            "profiles": {name: plain(each) for name, each in found.profiles.items()},
            "trials": compared,
            "page": str(page),
        }
        return Report(record, "\n".join([*text, "", f"page: {page}"]), code)


def page_folder(config: Config, where: str | None) -> Path:
    """The folder of a page, which is made if it is missing.

    Errors:
        ConfigError: it cannot be written.
    """
    words = [w for w in config.overrides if not w.startswith(("task=", "connection=", "logger"))]
    digest = hashlib.sha256(json.dumps(sorted(words)).encode()).hexdigest()[:6]
    name = f"diagnosis-{config.choices['task']}-{config.choices['connection']}"
    folder = Path(where or f"runs/{name}{f'-{digest}' if words else ''}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f".{PAGE}.tmp").touch()
        (folder / f".{PAGE}.tmp").unlink()
    except OSError as error:
        fix = "name another folder for the page: dir=FOLDER"
        raise ConfigError(error.strerror or "it cannot be written", str(folder), fix) from None
    return folder


def diagnosed(config: Config, where: str | None = None, full: bool | None = False) -> Diagnosis:
    """The diagnosis of a net at its start, or of a run at its last step, on a training batch.

    Args:
        config: of the net.
        where: folder of the run; None: the net is built anew.
        full: whether the measures that need many passes are among its profiles; None: if they
            are quick.
    """
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
            if full is False or any(it.cause == "non_finite" for it in found.findings):
                return found
            further = Further(task, batch, loss, math.inf if full else None)
            return replace(found, profiles=found.profiles | further.profiles(where is not None))


def fresh(config: Config) -> tuple[Task, None]:
    """The task of a configuration with the weights with which its training begins."""
    task = build_task(config)
    redraw(task.model, config.seed)
    config.factory("init")().apply(task.model, config.seed)
    return task, None


def trained(config: Config, folder: RunFolder) -> tuple[Task, dict[str, Any]]:
    """The task of a run with its data and its last weights, and its last checkpoint."""
    refuse_changes(config, folder, CHANGEABLE)
    checkpoint, _ = load_last(folder.checkpoints)
    task = same_data(build_task(config), checkpoint, folder)
    load_weights(task, checkpoint, folder)
    return task, checkpoint


def loss(task: Any, batch: Any) -> Tensor:
    """The training loss of a task."""
    value: Tensor = task.loss(batch)
    return value
