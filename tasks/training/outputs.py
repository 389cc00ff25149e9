"""The files that a run leaves beside its log: weights and figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from tasks.recovery.tensor_files import save_checkpoint, save_safetensors
from tasks.training.best_weights import BestWeights
from tasks.training.module import Task
from zoo.probes.mixing import net_mixing
from zoo.run_folder import RunFolder


def save_weights(result: dict[str, Any], task: Task, folder: RunFolder, best: BestWeights) -> None:
    """Writes `best.ckpt` and, for other programs, the last and the best weights as safetensors."""
    about = {key: result[key] for key in ("task", "model", "connection", "data", "depth", "seed")}
    weights = {"last": (result["steps"], task.model.state_dict())}
    if best.weights:
        save_checkpoint(best.state_dict(), folder.checkpoints / "best.ckpt")
        weights["best"] = best.step, best.weights
    for name, (step, values) in weights.items():
        path = folder.checkpoints / f"{name}.safetensors"
        save_safetensors(values, path, about | {"step": step})


def draw(
    result: dict[str, Any], task: Task, folder: RunFolder, fresh: Tensor | None
) -> dict[str, Path]:
    """Draws the figures of a finished run and returns their files by name.

    Args:
        result: of the run.
        task: that was trained.
        folder: of the run.
        fresh: mixing matrix `[branches + 1, branches + 1]` of the model before training, if any.
    """
    from zoo.probes.plots import curves_figure, depth_figure, mixing_figure, save

    title = "{task}, {connection}, depth {depth}, seed {seed}".format(**result)
    after = f"step {result['steps']}"
    with task.evaluating():
        curves = curves_figure(list(folder.rows()), title, result["events"])
        figures = {"curves": curves, **task.figures(title)}
    for name, values in result["curves"].items():
        start = result["curves_at_start"].get(name)
        lines = {"start": start, after: values} if start else {after: values}
        figures[name] = depth_figure(name, lines, title)
    matrix = net_mixing(task.model)
    if matrix is not None:
        rules = result["connection"] + (f", long {result['long']}" if result["long"] else "")
        named = {} if fresh is None else {f"{rules}: start": fresh}
        figures["mixing"] = mixing_figure({**named, f"{rules}: {after}": matrix})
    paths = {name: folder.figures / f"{name}.png" for name in figures}
    for name, figure in figures.items():
        save(figure, paths[name])
    return paths
