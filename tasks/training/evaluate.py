"""The evaluation of a trained task, at its last step and at its best one."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from tasks.data.splits import PARTS
from tasks.training.best_weights import BestWeights
from tasks.training.hooks import Passes
from tasks.training.module import Task
from tasks.training.trainer import TrainerOptions
from zoo.errors import Diverged
from zoo.run_folder import AT_BEST
from zoo.shard import Shard
from zoo.system.launch import launch


def final_evaluation(
    result: dict[str, Any], task: Task, training: TrainerOptions, best: BestWeights
) -> None:
    """Evaluates a run that reached its end, at its last step and at its best one.

    Args:
        result: of the run, which gets the metrics.
        task: that was trained.
        training: options of the evaluation.
        best: the weights of lowest validation loss.
    """
    metrics = evaluate(task, training)
    best.update(metrics["val/loss"], result["steps"], task)
    better = {} if best.step == result["steps"] else best.weights
    with task.evaluating():
        final, result["curves"] = checked_finite(task.final_metrics()), task.depth_profiles()
    result["metrics"] = metrics | final | metrics_at_best(task, training, metrics, better)
    result["primary"]["value"] = metrics[result["primary"]["name"]]
    result["best_step"] = best.step


def evaluate(task: Task, training: TrainerOptions) -> dict[str, float]:
    """Returns every metric, `part/name`, on every part of the data with the present weights."""
    turns = Shard(launch().rank, training.processes)
    training.evaluator().validate(task, Passes(task.loader, *PARTS, turns=turns), verbose=False)
    found = {part: task.metrics(part).items() for part in PARTS}
    return checked_finite({f"{part}/{name}": v for part in PARTS for name, v in found[part]})


def checked_finite(metrics: dict[str, float]) -> dict[str, float]:
    """Returns these metrics; Diverged if one of them is not finite."""
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise Diverged(f"{name} is {value}", "evaluation", "lower optimizer.lr")
    return metrics


def metrics_at_best(
    task: Task, training: TrainerOptions, metrics: dict[str, float], best: dict[str, Tensor]
) -> dict[str, float]:
    """Returns the metrics with the weights of lowest validation loss; the present ones come back.

    Args:
        task: that is evaluated.
        training: options of the evaluation.
        metrics: with the present weights.
        best: the other weights; none: the present ones are the best.
    """
    if best:
        last = {name: value.clone() for name, value in task.model.state_dict().items()}
        task.model.load_state_dict(best)
        metrics = evaluate(task, training)
        task.model.load_state_dict(last)
    return {f"{name}{AT_BEST}": value for name, value in metrics.items()}
