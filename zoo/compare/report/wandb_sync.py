"""W&B receives every run of a comparison, in one group, and the comparison as one more run."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, astuple
from pathlib import Path
from typing import Any

from zoo.compare.analysis.record import Record
from zoo.compare.analysis.statistics import Interval
from zoo.config import registry
from zoo.config.yaml_file import read_yaml
from zoo.errors import quoted
from zoo.run_folder import RunFolder
from zoo.system.atomic import atomic_write
from zoo.system.console import say

AXES = ("place", "task", "depth", "arm", "pair", "seed")
SENT = "mirrored.json"  # the runs that were sent before


def mirror(record: Record, path: Path) -> None:
    """Sends what was not sent before; where W&B fails, the comparison stands all the same.

    Args:
        record: of the comparison.
        path: its folder; offline runs lie in its folder `wandb`.
    """
    sent_file = path / SENT
    sent = set(json.loads(sent_file.read_text())) if sent_file.is_file() else set()
    key = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]
    group = f"compare-{record.name}-{key}"
    offline = False
    for run in record.cells:
        if run.status == "failed" or run.id in sent:
            continue
        axes = {axis: getattr(run, axis) for axis in AXES}
        logger = open_run(path, group, f"{run.place}, {run.arm}, {run.pair}", run.id, axes)
        if logger.run is None:
            return
        offline = offline or logger.run.settings._offline
        folder = RunFolder(path / "cells" / run.id)
        for line in folder.rows():
            logger.row(line)
        finish(logger, folder.result())
        sent.add(run.id)
        atomic_write(sent_file, json.dumps(sorted(sent)))
    logger = open_run(path, group, "comparison", "comparison", asdict(record.declared))
    if logger.run is None:
        return
    logger.guarded(lambda: tell(logger.run, record, path))
    finish(logger, {"status": "done", "metrics": {}})
    if offline:
        place = quoted([str(path / "wandb")])
        say(f"W&B was offline; upload all by: wandb sync {place}")


def open_run(path: Path, group: str, name: str, key: str, about: Mapping[str, Any]) -> Any:
    """A run of the group; its logger has no run where W&B is off."""
    logger = registry.factory("logger", "wandb", {"group": group, "name": name[:120]})()
    folder = path / "cells" / key / "config.yaml"
    whole = read_yaml(folder) if folder.is_file() else {}
    defaults = {"id": f"{group[-8:]}-{key}", "group": group, "tags": ["compare"]}
    logger.start(path, {**whole, **about}, defaults)
    return logger


def finish(logger: Any, result: Mapping[str, Any]) -> None:
    """Ends a run quietly: one command uploads them all."""
    log = logging.getLogger("zoo")
    before, log.disabled = log.disabled, True
    try:
        logger.finish({"curves": {}, **result}, {})
    finally:
        log.disabled = before


def tell(run: Any, record: Record, path: Path) -> None:
    """The comparison's own run: tables, figures, and the report as an artifact."""
    import wandb

    gaps = [
        [place.title, c.arm, c.baseline, *numbers(c.gap), c.pairs, c.verdict]
        for place in record.places
        for c in place.contrasts
    ]
    head = ["place", "arm", "baseline", "gap", "low", "high", "pairs", "verdict"]
    shown: dict[str, Any] = {"gaps": wandb.Table(columns=[*head], data=gaps)}
    arms = [
        [place.title, arm.arm, arm.mean, arm.sd, arm.done, arm.diverged]
        for place in record.places
        for arm in place.arms
    ]
    head = ["place", "arm", "mean", "sd", "done", "diverged"]
    shown["arms"] = wandb.Table(columns=[*head], data=arms)
    for figure in sorted((path / "figures").glob("*.png")):
        shown[f"figures/{figure.stem}"] = wandb.Image(str(figure))
    run.log(shown)
    artifact = wandb.Artifact(f"{record.name}-report", type="report")
    for name in ("report.html", "report.md", "compare.json", "cells.csv"):
        if (path / name).is_file():
            artifact.add_file(str(path / name))
    if (path / "figures").is_dir():
        artifact.add_dir(str(path / "figures"), name="figures")
    run.log_artifact(artifact)


def numbers(interval: Interval | None) -> list[float | None]:
    """An interval as three cells of a table."""
    return [*astuple(interval)] if interval else [None] * 3
