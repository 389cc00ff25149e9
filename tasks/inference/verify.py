"""`verify`: trains the first steps of a run again and compares the logs."""

from __future__ import annotations

import contextlib
import logging
import signal
import tempfile
from pathlib import Path
from typing import Any

from pytorch_lightning import Trainer

from tasks.fast_callback import FastCallback
from tasks.inference.log_comparison import compare_logs, logged_numbers
from tasks.training.continued import refuse_changes
from tasks.training.run import trainable
from tasks.training.train import train
from tasks.training.trainer import Steps
from zoo.config import registry
from zoo.config.compose import from_file
from zoo.config.config import Config
from zoo.errors import CheckpointError, ConfigError, Diverged
from zoo.report import Report
from zoo.run_folder import RunFolder
from zoo.system.launch import is_first

log = logging.getLogger("zoo")

DEVICES = ("trainer.accelerator", "trainer.devices", "trainer.strategy")
CHANGEABLE = ("data.path", *DEVICES, "trainer.graphs")


class StopAt(FastCallback):
    """Ends a run after a step, as a signal would, so without its final evaluation.

    Args:
        step: the last one.
    Attributes:
        reached: whether it was taken.
    """

    def __init__(self, step: int):
        self.step = step
        self.reached = False

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        if trainer.global_step == self.step and not self.reached:
            self.reached = True
            signal.raise_signal(signal.SIGUSR1)


class Verify:
    """Trains the first steps of a run again and compares its log, number by number.

    The run is only read; the new one lies in a temporary folder. Compared are the rows of
    `metrics.jsonl` but for `train/steps_per_second`, and the digests of the data, of the branches
    as they are drawn, of the branches after their init rule and of the first training batches.

    Args:
        steps: that are compared, with the validations among them.
    """

    def __init__(self, steps: Steps = 100):
        self.steps = steps

    def __call__(self, config: Config, where: str) -> Report | None:
        """Returns the comparison; None in all but the first process.

        Errors:
            ConfigError: other options than the run's, or no row among so few steps.
            CheckpointError: the run has no result or no log.
            DataError: the data is not there.
        """
        folder = RunFolder(Path(where))
        refuse_changes(config, folder, CHANGEABLE)
        result = folder.result()
        if not result:
            fix = f"continue it: fit from={where}"
            raise CheckpointError("the run has not come to an end", where, fix)
        stop = StopAt(self.last_step(folder))
        with tempfile.TemporaryDirectory(prefix="zoo-verify-") as path:
            fresh = RunFolder(Path(path))
            fresh.create()
            repeat(config, result, fresh if is_first() else None, stop)
            if not is_first():
                return None
            old, new = (logged_numbers(each, stop.step) for each in (folder, fresh))
            stored = from_file(str(folder.path / "config.yaml"), {}).sections["trainer"]
            then, now = result, fresh.result()
            before, here = conditions(then, stored), conditions(now, config.sections["trainer"])
            changed = {key: [before.get(key), here[key]] for key in here}
            changed = {key: pair for key, pair in changed.items() if pair[0] != pair[1]}
            return compare_logs(then, now, old, new, stop.step, changed)

    def last_step(self, folder: RunFolder) -> int:
        """The step of the last row that is compared."""
        steps = [row["step"] for row in folder.rows()]
        if not steps:
            raise CheckpointError("the run has no log", str(folder.path), "name another run")
        if min(steps) > self.steps:
            what = f"the first row of the log is of step {min(steps)}"
            raise ConfigError(what, f"steps={self.steps}", f"give steps={min(steps)} or more")
        return max(step for step in steps if step <= self.steps)


def repeat(config: Config, then: dict[str, Any], folder: RunFolder | None, stop: StopAt) -> None:
    """Trains a run from its start to a step, silently: without logger and diagnostics.

    Args:
        config: of the run.
        then: its result, whose choices are taken.
        folder: of the repetition; None in all but the first process.
        stop: ends it.
    """
    for group in ("logger", "diagnostics"):
        config.choices[group] = "none"
        config.sections[group] = registry.options(group, "none")
    training, task = trainable(config)
    task.recall(then)
    training.extra_callbacks.append(stop)
    log.disabled = True
    try:
        with contextlib.suppress(Diverged):  # its rows are a log as well
            report = train(config, training, task, folder, None, figures=False)
            if report and report.code and not stop.reached:  # by a signal from outside
                raise SystemExit(report.code)
    finally:
        log.disabled = False


def conditions(result: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """Versions, machine and options of a run, with the devices that it had, not those asked for.

    Args:
        result: of the run.
        options: of its training.
    """
    devices = result.get("devices", {}).get("processes", options["devices"])
    return {**result["versions"], **result["machine"], **options, "devices": devices}
