"""All that surrounds Lightning's loop: callbacks, signals, and a result however it ends."""

from __future__ import annotations

import contextlib
import functools
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tasks.recovery.checkpoints import AtomicCheckpointIO, Checkpointer
from tasks.recovery.nonfinite import NonFiniteGuard
from tasks.recovery.rollback import RolledBack
from tasks.recovery.signals import SignalHandler
from tasks.recovery.watchdog import Watchdog
from tasks.training.advice import out_of_memory
from tasks.training.best_weights import BestWeights
from tasks.training.compiling import compile_model
from tasks.training.deterministic import deterministic
from tasks.training.diagnostics import NoDiagnostics
from tasks.training.layout import channels_last
from tasks.training.loggers import NoLogger, identity
from tasks.training.metrics_logger import MetricsLogger
from tasks.training.module import Task
from tasks.training.precision import float32_products
from tasks.training.process import seed_everything
from tasks.training.process_memory import forget_peak_memory, keep_freed_memory, peak_memory_bytes
from tasks.training.result import machine, new_result
from tasks.training.trainer import TrainerOptions
from zoo.config.config import Config
from zoo.errors import Diverged, ZooError, as_zoo_error, is_out_of_memory
from zoo.run_folder import RunFolder
from zoo.seeding import branch_digest, redraw
from zoo.shard import WHOLE, set_shard
from zoo.system.one_writer import forsake

log = logging.getLogger("zoo")


@dataclass
class Attempt:
    """A run under way, from its start or a checkpoint.

    Args:
        trainer: Lightning's.
        result: of the run so far.
        metrics_logger: writes its log.
        best: keeps its best weights.
        checkpointer: writes its checkpoints.
        figures: its figures by name.
    """

    trainer: Any
    result: dict[str, Any]
    metrics_logger: MetricsLogger
    best: BestWeights
    checkpointer: Checkpointer
    figures: dict[str, Path] = field(default_factory=dict)


@contextlib.contextmanager
def attempt(
    config: Config,
    training: TrainerOptions,
    task: Task,
    folder: RunFolder | None,
    figures: bool,
) -> Iterator[Attempt]:
    """Within, a run can be trained; at the end its result is written, however it ended."""
    keep_freed_memory()
    forget_peak_memory()
    redraw(task.model, config.seed)
    seed_everything(config.seed)
    result = new_result(config, task)
    config.factory("init")().apply(task.model, config.seed)
    result["start_digest"] = branch_digest(task.model)
    if folder:
        result["seconds"] = folder.result().get("seconds", 0.0)  # of the run until here
    if training.accelerator == "gpu":
        channels_last(task.model)
    compile_model(task.model, training.compile)
    result["matmul"], result["strategy"] = training.matmul, training.strategy
    result["devices"] = {"processes": training.processes, "machines": training.nodes}
    result["devices"]["kind"] = training.accelerator
    repeating, products = deterministic(training.deterministic), float32_products(training.matmul)
    with SignalHandler() as interrupts, products, repeating as unrepeatable:
        logger: NoLogger = config.factory("logger")() if folder else NoLogger()
        epochs = functools.partial(training.epochs, task)
        metrics_logger = MetricsLogger(folder, logger, training.log_every, epochs, figures)
        best = BestWeights(training.patience)
        last = (folder.checkpoints if folder else Path()) / "last.ckpt"
        policy, every = training.on_nonfinite, training.log_every
        guard = NonFiniteGuard(
            policy, training.nonfinite_limit, every, last.with_name("rollback.ckpt")
        )
        minutes, anchors = training.save_minutes, policy == "rollback"
        checkpointer = Checkpointer(last, minutes, interrupts, every, anchors)
        diagnostics: NoDiagnostics = config.factory("diagnostics")()
        diagnostics.begin(folder, logger, every, figures)
        result["events"] = guard.losses.events

        def hung(what: str) -> None:
            result["steps"], result["reason"] = watchdog.step, what
            if folder:
                folder.write_result(result)
                forsake(folder.path)

        watchdog = Watchdog(training.hang_seconds, folder.log if folder else None, hung)
        callbacks = [guard, metrics_logger, best, checkpointer, watchdog, diagnostics]
        trainer = training.trainer(task, callbacks, [AtomicCheckpointIO()])
        result["machine"] = machine()  # with the threads that several processes leave to each
        if folder:
            logger.start(folder.path, config.plain(), identity(config))
        current = Attempt(trainer, result, metrics_logger, best, checkpointer)
        try:
            with outcome(result, checkpointer, config, task), watchdog.over(trainer):
                yield current
        finally:
            set_shard(WHOLE)
            metrics_logger.close()
            result["steps"] = trainer.global_step
            result["lost_steps"] = guard.count
            result["chosen"] = task.chosen
            result |= diagnostics.record()
            result["epochs"] = training.epochs(task, trainer.global_step)
            result["seconds_per_step"] = metrics_logger.seconds_per_step()
            result["peak_memory_bytes"] = peak_memory_bytes()
            if training.deterministic:
                kernels = result["unrepeatable"] = sorted(unrepeatable)
                log.info("kernels that do not repeat: %s", ", ".join(kernels) or "none")
            try:
                if folder:
                    folder.write_result(result)
            finally:
                logger.finish(result, current.figures)
        log.info("%s at step %d", result["status"], result["steps"])
        if folder and checkpointer.stopped:
            log.info("continue: fit from=%s", folder.path)


@contextlib.contextmanager
def outcome(
    result: dict[str, Any], checkpointer: Checkpointer, config: Config, task: Task
) -> Iterator[None]:
    """Notes in the result how training ended and how long it took; errors get their remedy."""
    began = time.perf_counter()
    try:
        yield
    except BaseException as error:
        received = checkpointer.interrupts.received
        if received is not None and isinstance(error, (KeyboardInterrupt, SystemExit)):
            result["status"] = "interrupted"
            raise SystemExit(128 + received) from error
        if isinstance(error, RolledBack):
            result["status"] = "interrupted"
            raise
        result["status"] = "diverged" if isinstance(error, Diverged) else "failed"
        lost = is_out_of_memory(error) and not isinstance(error, ZooError)  # of another process
        known = out_of_memory(config, task, str(error)) if lost else as_zoo_error(error)
        result["reason"] = getattr(known, "what", type(error).__name__)
        if known is not error:
            raise known from error
        raise
    else:
        result["status"] = "interrupted" if checkpointer.stopped else "done"
    finally:
        result["seconds"] += time.perf_counter() - began
