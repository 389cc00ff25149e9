"""One training run: train, evaluate and record, whatever happens on the way."""

from __future__ import annotations

import logging
from pathlib import Path

from tasks.recovery.ranks import STARTED
from tasks.recovery.rollback import RolledBack
from tasks.training.advice import no_faster, small_batch
from tasks.training.attempt import Attempt, attempt
from tasks.training.evaluate import final_evaluation
from tasks.training.loggers import left_behind
from tasks.training.module import Task
from tasks.training.outputs import draw, save_weights
from tasks.training.process import logged
from tasks.training.summary import end_report
from tasks.training.trainer import TrainerOptions
from zoo.config.config import Config
from zoo.config.idle import idle
from zoo.report import Report
from zoo.run_folder import RunFolder
from zoo.system.meeting import meet

log = logging.getLogger("zoo")


def train(
    config: Config,
    training: TrainerOptions,
    task: Task,
    folder: RunFolder | None,
    checkpoint: Path | None,
    figures: bool = True,
) -> Report:
    """Trains, evaluates and records a run; it may return to earlier steps on the way.

    The report of all but the first process is empty beside its exit code.

    Args:
        config: the configuration.
        training: its options of training.
        task: fresh, with its data.
        folder: of the run; None in all but the first process.
        checkpoint: to continue from.
        figures: whether some are drawn.

    Errors:
        ZooError: another process cannot train.
    """
    meet()
    STARTED.clear()
    with logged(folder):
        announce(config, task, training)
        for copy in left_behind(config, folder) if folder else ():
            log.warning("%s", copy)
        while True:
            try:
                with attempt(config, training, task, folder, figures) as current:
                    current.trainer.fit(task, ckpt_path=checkpoint, weights_only=True)
                    conclude(current, task, training, folder, figures)
            except RolledBack as back:
                checkpoint = back.checkpoint
                if folder:
                    folder.forget_after(back.step)
            else:
                code = 128 + current.checkpointer.stopped if current.checkpointer.stopped else 0
                return end_report(current.result, folder, code) if folder else Report({}, "", code)


def conclude(
    current: Attempt, task: Task, training: TrainerOptions, folder: RunFolder | None, figures: bool
) -> None:
    """Evaluates a run that reached its end, and writes its weights and figures."""
    result, stopped = current.result, current.checkpointer.stopped
    result["steps"] = current.trainer.global_step
    if not stopped:
        result["curves_at_start"] = current.metrics_logger.shown["curves"]
        final_evaluation(result, task, training, current.best)
    if folder:
        save_weights(result, task, folder, current.best)
    if folder and figures and not stopped:
        current.figures = draw(result, task, folder, current.metrics_logger.shown["mixing"])


def announce(config: Config, task: Task, training: TrainerOptions) -> None:
    """Logs what was read, what is odd in it, which options do nothing, and what is trained."""
    log.info("%s", task.data.summary())
    asked = config.sections["data"].get("batch_size")
    cut = [f"data.batch_size={asked} is cut to the {task.batch_size} training examples"]
    fits = task.batch_size in (None, asked)
    notes = [*task.data.notes, *idle(config), *([] if fits else cut), *small_batch(task)]
    for note in [*notes, *no_faster(task, training.processes)]:
        log.warning("%s", note)
    log.info("%s", announcement(config, task, training))


def announcement(config: Config, task: Task, training: TrainerOptions) -> str:
    """What is about to be trained and which limit ends it, in one line."""
    limits = training.limits(task)
    ends = min(limits, key=lambda words: limits[words])
    longer = "".join(f", before {words}" for words in limits if words != ends)
    names = ", ".join(config.choices[group] for group in ("task", "connection", "data"))
    count = sum(parameter.numel() for parameter in task.model.parameters())
    rounded = "" if training.matmul == "highest" else f", float32 at matmul={training.matmul}"
    shared = " by fsdp" if training.strategy == "fsdp" else ""
    return (
        f"{names}, depth {config.sections['model']['depth']}: {count:,} parameters, "
        f"{limits[ends]} steps ({ends}{longer}) on {training.on}"
        f"{shared}{rounded}"
    )
