"""A run from configuration to result: `fit`, its continuation and `test`."""

from __future__ import annotations

import contextlib
import errno
import functools
import logging
import os
import random
import re
import secrets
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tasks.base import Task
from tasks.callbacks import Best, Interrupts, Keep, Record, WholeCheckpoints
from tasks.loggers import NoLogger
from tasks.result import Result, new_record, peak_memory_bytes
from tasks.trainer import Training
from zoo import registry
from zoo.config import CHANGEABLE, Config, flatten
from zoo.errors import CheckpointError, ConfigError, Diverged, ResourceError, ZooError
from zoo.folder import RunFolder
from zoo.init import branch_digest, keyed_seed, redraw
from zoo.probe import stack_mixing

log = logging.getLogger("zoo")
PARTS = ("train", "val", "test")


def is_first() -> bool:
    """Whether this is the first process of a run: it alone writes and speaks."""
    return int(os.environ.get("RANK") or os.environ.get("LOCAL_RANK") or 0) == 0


def prepare(config: Config) -> tuple[Training, Callable[[], Task]]:
    """Everything that can be refused before data, device or folder is touched."""
    training = config.maker("trainer")()
    optimizer = config.maker("optimizer")()
    make_model = functools.partial(
        config.maker("model"),
        connect=config.maker("connection"),
        norm_placement=config.maker("norm")(),
    )
    make_task, source = config.maker("task"), config.maker("data")()
    with torch.device("meta"):
        make_model(**registry.resolve("task", config.choices["task"]).facts)  # type: ignore
    return training, lambda: make_task(make_model, source.load(), optimizer, seed=config.seed)


def seed_everything(seed: int) -> None:
    """Seeds the global generators, each process differently, for dropout and the like."""
    rank = os.environ.get("RANK") or os.environ.get("LOCAL_RANK") or "0"
    value = keyed_seed(seed, "train", rank)
    torch.manual_seed(value)
    np.random.seed(value % 2**32)
    random.seed(value)


@contextlib.contextmanager
def logged(folder: RunFolder | None) -> Iterator[None]:
    """Sends messages to stderr and, with warnings and tracebacks, to the run's log."""
    handlers: list[logging.Handler] = []
    if folder is not None:
        handlers = [logging.StreamHandler(sys.stderr), logging.FileHandler(folder.log)]
        handlers[0].setFormatter(logging.Formatter("zoo: %(message)s"))
        handlers[0].addFilter(lambda record: not record.exc_info)
        handlers[1].setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.setLevel(logging.INFO)
    log.propagate = False
    for handler in handlers:
        log.addHandler(handler)
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="pytorch_lightning")
        warnings.filterwarnings("ignore", message="Sparse", category=UserWarning)
        try:
            yield
        except BaseException:
            log.exception("the run ended by an error")
            raise
        finally:
            for handler in handlers:
                log.removeHandler(handler)
                handler.close()


def as_zoo_error(error: BaseException) -> BaseException:
    """Memory and disk errors as errors with a remedy."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "can't allocate" in str(error):
        return ResourceError("out of memory", "training", "lower model.width or model.depth")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return ResourceError("the disk is full", str(error.filename), "free some space")
    return error


def fit(config: Config) -> Result | None:
    """Trains from the start in a fresh folder. None in all but the first process."""
    training, make_task = prepare(config)
    name = config.run["id"] or secrets.token_hex(4)
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", str(name)):
        raise ConfigError(f"run.id={name!r} is refused", "run.id", "use letters, digits, . _ -")
    config.run["id"] = str(name)
    task = make_task()
    folder = None
    if is_first():
        kind = f"{config.choices['task']}-{config.choices['connection']}-{name}"
        folder = RunFolder.create(kind, config.run["dir"])
        folder.write_config(config.plain())
    return train(config, training, task, folder, None)


def resume(config: Config, where: str) -> Result | None:
    """Continues the run in a folder from its last checkpoint."""
    folder = RunFolder(Path(str(where)))
    refuse_changes(config, folder, CHANGEABLE)
    record = folder.result()
    if record.get("status") == "done" and not config.words("trainer.max_"):
        print("zoo: already complete", file=sys.stderr)
        return Result(record, str(folder.path))
    checkpoint = load_checkpoint(folder.checkpoints / "last.ckpt")
    training, make_task = prepare(config)
    task = make_task()
    if checkpoint["data_digest"] != task.data_digest():
        raise ConfigError("the data has changed since", str(folder.path), "give the same data")
    if is_first():
        folder.forget_after(checkpoint["global_step"])
        folder.write_config(config.plain())
    path = folder.checkpoints / "last.ckpt"
    return train(config, training, task, folder if is_first() else None, path)


def refuse_changes(config: Config, folder: RunFolder, allowed: tuple[str, ...]) -> None:
    """ConfigError with a table where a configuration differs from its folder's."""
    old = flatten(registry.read_yaml(folder.path / "config.yaml"))
    new = flatten(config.plain())
    changed = [
        (key, old.get(key), new.get(key))
        for key in sorted({*old, *new})
        if old.get(key) != new.get(key) and not key.removeprefix("choices.").startswith(allowed)
    ]
    if changed:
        if is_first():
            for key, before, now in changed:
                print(f"  {key:<28} {before!s:<20} -> {now}", file=sys.stderr)
        keys = ", ".join(key for key, *_ in changed)
        fix = f"only {', '.join(allowed)} may change"
        raise ConfigError(f"{keys} would change", f"from={folder.path}", fix)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint as plain containers and tensors; CheckpointError where it is none."""
    fix = "start again, or name another run"
    if not path.is_file():
        raise CheckpointError("there is no checkpoint", str(path), fix)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"[:160]
        raise CheckpointError(f"cannot be loaded ({reason})", str(path), fix) from None


def train(
    config: Config,
    training: Training,
    task: Task,
    folder: RunFolder | None,
    checkpoint: Path | None,
) -> Result | None:
    """Trains, evaluates and records, whatever happens on the way."""
    redraw(task.model, config.seed)
    seed_everything(config.seed)
    record = new_record(config, task, branch_digest(task.model))
    with logged(folder), Interrupts() as interrupts:
        mirror: NoLogger = config.maker("logger")() if folder else NoLogger()
        if folder:
            mirror.start(folder.path, config.plain(), identity(config))
        recorder = Record(
            folder,
            mirror.row,
            training.log_every * training.accumulate,
            lambda steps: training.epochs(task, steps),
        )
        best = Best(training.patience)
        place = folder.checkpoints if folder else Path()
        keep = Keep(place / "last.ckpt", training.save_minutes, interrupts, recorder.every)
        trainer = training.trainer(task, [recorder, best, keep], [WholeCheckpoints()])
        figures: dict[str, Path] = {}
        began = time.perf_counter()
        try:
            if training.compile:
                task.model.compile()
            trainer.fit(task, ckpt_path=checkpoint, weights_only=True)
            record["seconds"] = time.perf_counter() - began
            if interrupts.received is None:
                record["metrics"] = final_metrics(task, training, best.weights)
                record["primary"]["value"] = record["metrics"][record["primary"]["name"]]
                record["best_step"] = best.step
                record["curves"] = task.curves()
                record["status"] = "done"
                if folder:
                    figures = draw(task, folder, record["curves"])
                    torch.save({"state_dict": best.weights}, folder.checkpoints / "best.ckpt")
            else:
                record["status"] = "interrupted"
        except BaseException as error:
            record["status"] = "diverged" if isinstance(error, Diverged) else "failed"
            if isinstance(error, KeyboardInterrupt):
                record["status"] = "interrupted"
            known = as_zoo_error(error)
            if known is not error:
                raise known from error
            raise
        finally:
            recorder.close()
            record["seconds"] = record["seconds"] or time.perf_counter() - began
            record["steps"] = trainer.global_step
            record["epochs"] = training.epochs(task, trainer.global_step)
            record["seconds_per_step"] = record["seconds"] / max(1, trainer.global_step)
            record["peak_memory_bytes"] = peak_memory_bytes()
            if folder:
                folder.write_result(record)
            mirror.finish(record, figures)
        if folder is None:
            return None
        if interrupts.received is not None:
            log.info("interrupted at step %d; continue: fit from=%s", record["steps"], folder.path)
        return Result(record, str(folder.path), 128 + (interrupts.received or -128))


def identity(config: Config) -> dict[str, Any]:
    """What W&B needs so that the runs of one comparison fall together."""
    choices, depth = config.choices, config.sections["model"]["depth"]
    data = config.sections["data"].get("name") or choices["data"]
    return {
        "id": config.run["id"],
        "group": f"{choices['task']}-{data}-{depth}",
        "tags": [choices["task"], choices["connection"], str(data)],
    }


def final_metrics(
    task: Task, training: Training, best: dict[str, torch.Tensor]
) -> dict[str, float]:
    """Every metric on every part at the last step, and at the step of lowest validation loss."""

    def measure(suffix: str) -> dict[str, float]:
        found = {}
        for part in PARTS:
            training.evaluator().validate(task, task.loader(part), verbose=False)
            found |= {f"{part}/{name}{suffix}": v for name, v in task.metrics().items()}
        return found

    metrics = measure("")
    if best:
        last = {name: value.clone() for name, value in task.model.state_dict().items()}
        task.model.load_state_dict(best)
        metrics |= measure("_at_best_val")
        task.model.load_state_dict(last)
    return metrics


def draw(task: Task, folder: RunFolder, curves: dict[str, list[float]]) -> dict[str, Path]:
    """The figures of a finished run."""
    from zoo.pictures import curves_figure, depth_figure, mixing_figure

    figures = {"curves": curves_figure(list(folder.rows()))}
    figures |= {name: depth_figure(name, values) for name, values in curves.items()}
    matrix = stack_mixing(task.model)
    if matrix is not None:
        figures["mixing"] = mixing_figure({"mixing matrix": matrix})
    paths = {name: folder.figures / f"{name}.png" for name in figures}
    for name, figure in figures.items():
        figure.savefig(paths[name])
    return paths


def test(config: Config, where: str) -> Result:
    """Evaluates the last and the best weights of a run again; nothing is written."""
    folder = RunFolder(Path(str(where)))
    refuse_changes(config, folder, ("data.path", "trainer.accelerator", "trainer.devices", "logger"))
    checkpoint = load_checkpoint(folder.checkpoints / "last.ckpt")
    training, make_task = prepare(config)
    task = make_task()
    best = checkpoint["callbacks"].get("Best", {}).get("weights", {})
    try:
        task.load_state_dict(checkpoint["state_dict"])
    except RuntimeError as error:
        raise CheckpointError(
            f"the weights do not fit ({str(error)[:120]})", str(folder.path), "name another run"
        ) from None
    with logged(None):
        record = folder.result() or new_record(config, task, "")
        record["metrics"] = final_metrics(task, training, best)
    return Result(record, str(folder.path))
