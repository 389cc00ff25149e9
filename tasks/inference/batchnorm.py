"""`diagnose fix=batchnorm`: the running statistics of a run's batch norms, counted again."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from tasks.data.folders import folder_at
from tasks.data.phrases import shown
from tasks.inference.diagnose import HALVES
from tasks.inference.files import unused_path
from tasks.inference.restored import config_of
from tasks.recovery.loading import load_last
from tasks.recovery.tensor_files import save_checkpoint
from tasks.training.best_weights import BestWeights
from tasks.training.build import build_task, build_trainer_options, load_weights
from tasks.training.continued import refuse_changes, same_data
from tasks.training.evaluate import checked_finite, final_evaluation
from tasks.training.hooks import Passes
from tasks.training.module import Task
from tasks.training.process import logged
from tasks.training.result import new_result
from tasks.training.trainer import TrainerOptions
from zoo.config.config import Config
from zoo.errors import ConfigError, quoted
from zoo.report import Report
from zoo.run_folder import RunFolder
from zoo.seeding import generator

CHANGEABLE = ("data.path", "trainer.accelerator", "run.dir")  # it counts on one device


def recalibrated(config: Config, where: str) -> Report:
    """Counts the statistics again on training data and writes a run folder with them.

    Mean and variance become the averages over all batches of one pass, with equal weight, as
    `torch.optim.swa_utils.update_bn` counts them; dropout and augmentation are off, as in
    evaluation. Both nets are evaluated on the validation part. The new folder has the run's
    configuration, a result, and one checkpoint, whose best weights are the last ones; it is used
    as every run is. With other data it is a run of that data. The old folder is only read.

    Args:
        config: of the run; another `data.path` gives other data, `run.dir` the new folder.
        where: folder of the run.

    Errors:
        ConfigError: no batch norm keeps statistics, the new folder is not empty, or other data
            has other classes.
        Diverged: a metric is not finite.
    """
    folder = RunFolder(Path(where))
    refuse_changes(config, folder, CHANGEABLE)
    checkpoint, _ = load_last(folder.checkpoints)
    asked = config.run["dir"] if config.words("run.dir=") else None
    new = RunFolder.planned("", asked or str(unused_path(folder.path, "batchnorm")))
    config.sections["trainer"] |= {"devices": 1, "strategy": "auto"}
    training, task = build_trainer_options(config), build_task(config)
    if config.words("data.path="):
        same_classes(task, checkpoint)
    else:
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
        result, best = result_so_far(config, task, folder), BestWeights(None)
        result["steps"] = checkpoint["global_step"]
        final_evaluation(result, task, training, best)
    after = {name: result["metrics"][f"val/{name}"] for name in before}
    record = {"norms": len(norms), "batches": len(batches), "before": before, "after": after}
    record["better"] = better(before, after, *task.primary)
    result["batchnorm"] = {"from": str(folder.path), **record}
    stored = config_of(folder)
    stored.run["dir"], stored.run["id"] = str(new.path), f"{stored.run['id']}-batchnorm"[-64:]
    if config.words("data.path="):
        data_path = config.sections["data"]["path"]
        local = folder_at(data_path)
        stored.sections["data"]["path"] = str(local.resolve()) if local.exists() else data_path
    new.create()
    save_checkpoint(with_statistics(checkpoint, task, best), new.checkpoints / "last.ckpt")
    new.write_config(stored.plain(), [])
    new.write_result(result)
    return Report({"run": shown(new.path), **record}, said(record, task.primary[0], new, folder))


def result_so_far(config: Config, task: Task, folder: RunFolder) -> dict[str, Any]:
    """The result of a run, as one that is done with the data of a task."""
    new = new_result(config, task)
    of_data = ("chance", "examples", "skipped", "data_notes", "data_digest")
    data = {key: new[key] for key in of_data}
    command = quoted(["python", "-m", "zoo", "diagnose", *config.overrides, "fix=batchnorm"])
    ended = {"status": "done", "reason": "", "command": command}
    return {**new, **folder.result(), **data, **ended}


def same_classes(task: Task, checkpoint: dict[str, Any]) -> None:
    """ConfigError where the data of a task has other classes than that of a checkpoint."""
    known = checkpoint.get("outline", {}).get("classes")
    if known and [*task.data.metadata()["classes"]] != [*known]:
        fix = "name data with the classes of the run"
        raise ConfigError("the data has other classes", "data.path", fix)


def with_statistics(checkpoint: dict[str, Any], task: Task, best: BestWeights) -> dict[str, Any]:
    """A checkpoint with the weights of a task, which are its best ones, and with its data."""
    state = {name: value.cpu() for name, value in task.state_dict().items()}
    known = {**best.state_dict(), "weights": {n: w.cpu() for n, w in best.weights.items()}}
    return {
        **checkpoint,
        "state_dict": {**checkpoint["state_dict"], **state},
        "callbacks": {**checkpoint["callbacks"], BestWeights.state_key: known},
        "data_digest": task.data_digest(),
        **({"outline": task.data.metadata()} if hasattr(task.data, "metadata") else {}),
    }


def validated(task: Task, training: TrainerOptions) -> dict[str, float]:
    """The loss and the primary metric on the validation part."""
    training.evaluator().validate(task, Passes(task.loader, "val"), verbose=False)
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
