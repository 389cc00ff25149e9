"""`diagnose fix=batchnorm`: the running statistics of a run's batch norms, counted again."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from tasks.data.phrases import shown
from tasks.inference.diagnose import HALVES
from tasks.inference.files import unused_path
from tasks.inference.restored import config_of
from tasks.recovery.loading import load_last
from tasks.recovery.tensor_files import save_checkpoint
from tasks.training.build import build_task, build_trainer_options, load_weights
from tasks.training.evaluate import checked_finite
from tasks.training.module import Task
from tasks.training.process import logged
from tasks.training.run import refuse_changes, same_data
from tasks.training.trainer import TrainerOptions
from zoo.config.config import Config
from zoo.errors import ConfigError
from zoo.report import Report
from zoo.run_folder import RunFolder
from zoo.seeding import generator

CHANGEABLE = ("data.path", "trainer.accelerator", "trainer.devices", "run.dir")


def recalibrated(config: Config, where: str) -> Report:
    """Counts the statistics again on training data and writes a run folder with them.

    Mean and variance become the averages over all batches of one pass, with equal weight, as
    `torch.optim.swa_utils.update_bn` counts them; dropout and augmentation are off, as in
    evaluation. Both nets are evaluated on the validation part. The new folder has the run's
    configuration and one checkpoint, and is used as every run is; the old one is only read.

    Args:
        config: of the run; another `data.path` gives other data, `run.dir` the new folder.
        where: folder of the run.

    Errors:
        ConfigError: no batch norm keeps statistics, or the new folder is not empty.
        Diverged: a metric is not finite.
    """
    folder = RunFolder(Path(where))
    refuse_changes(config, folder, CHANGEABLE)
    checkpoint, _ = load_last(folder.checkpoints)
    asked = config.run["dir"] if config.words("run.dir=") else None
    new = RunFolder.planned("", asked or str(unused_path(folder.path, "batchnorm")))
    config.sections["trainer"]["devices"] = 1
    training, task = build_trainer_options(config), build_task(config)
    if not config.words("data.path="):
        same_data(task, checkpoint, folder)
    load_weights(task, checkpoint, folder)
    norms = [m for m in task.modules() if isinstance(m, _BatchNorm) and m.running_mean is not None]
    if not norms:
        what = "the net has no batch norm with running statistics"
        raise ConfigError(what, f"from={where} fix=batchnorm", "name a run that has some")
    with logged(None):
        before = validated(task, training)
        batches = examples_in_equal_batches(task.loader("train"), config.seed)
        count_again(task, norms, batches, training)
        after = validated(task, training)
    state = {name: value.cpu() for name, value in task.state_dict().items()}
    new.create()
    record = {"norms": len(norms), "batches": len(batches), "before": before, "after": after}
    record["better"] = better(before, after, *task.primary)
    content = {**checkpoint, "state_dict": {**checkpoint["state_dict"], **state}}
    save_checkpoint({**content, "batchnorm": record}, new.checkpoints / "last.ckpt")
    stored = config_of(folder)
    stored.run["dir"], stored.run["id"] = str(new.path), f"{stored.run['id']}-batchnorm"[-64:]
    new.write_config(stored.plain(), [])
    return Report({"run": shown(new.path), **record}, said(record, task.primary[0], new, folder))


def validated(task: Task, training: TrainerOptions) -> dict[str, float]:
    """The loss and the primary metric on the validation part."""
    training.evaluator().validate(task, task.loader("val"), verbose=False)
    metrics = task.metrics()
    return checked_finite({name: metrics[name] for name in ("loss", task.primary[0])})


def examples_in_equal_batches(loader: Iterable[Any], seed: int) -> list[Any]:
    """The batches of one pass; numbers of examples are shuffled and shared out evenly.

    In the order of their folders every batch would be of few classes, and its variance too small.
    """
    batches = list(loader)
    if not all(isinstance(each, Tensor) and each.ndim == 1 for each in batches):
        return batches
    examples = torch.cat(batches)
    order = torch.randperm(len(examples), generator=generator(seed, "batchnorm"))
    return [*examples[order.to(examples.device)].tensor_split(len(batches))]


def count_again(
    task: Task, norms: list[_BatchNorm], batches: list[Any], training: TrainerOptions
) -> None:
    """Gives norms the mean statistics of some batches; everything else is in evaluation."""
    kept = [(norm.momentum, int(norm.num_batches_tracked or 0)) for norm in norms]
    half, kind = HALVES.get(training.precision), task.compute_device.type
    with task.evaluating(), torch.autocast(kind, half, enabled=half is not None):
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # every batch has the same weight
            norm.train()
        for batch in batches:
            task.eval_sums(batch)
    for norm, (momentum, count) in zip(norms, kept, strict=True):
        norm.momentum = momentum
        norm.num_batches_tracked.fill_(count)  # type: ignore[union-attr]
        norm.eval()


def better(before: dict[str, float], after: dict[str, float], primary: str, higher: bool) -> str:
    """Which net is better on the validation part, by the primary metric and then by the loss."""
    for name, sign in ((primary, 1 if higher else -1), ("loss", -1)):
        gain = sign * (after[name] - before[name])
        if gain:
            return "after" if gain > 0 else "before"
    return "equal"


def said(record: dict[str, Any], primary: str, new: RunFolder, folder: RunFolder) -> str:
    """The outcome as lines to read."""
    names = list(dict.fromkeys(("loss", primary)))
    lines = [
        f"{record['norms']} batch norms counted again over {record['batches']} batches of the "
        "training part, compared on the validation part",
        "",
        f"{'':<8}" + "".join(f"{f'val/{name}':>16}" for name in names),
    ]
    for which in ("before", "after"):
        lines.append(f"{which:<8}" + "".join(f"{record[which][name]:>16.4f}" for name in names))
    worse = "the net is better as it was: counting again made it worse, which is a normal outcome"
    words = {
        "after": f"the net is better with the new statistics: use from={shown(new.path)}",
        "before": f"{worse}; use from={shown(folder.path)}",
        "equal": "both are equally good",
    }
    return "\n".join([*lines, "", words[record["better"]], f"new run folder: {shown(new.path)}"])
