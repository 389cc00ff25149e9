"""Copies every run of a comparison to W&B, in one group, and the comparison as one more run."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import asdict, astuple
from pathlib import Path
from typing import Any

from zoo.compare.analysis.aggregate import contrasts_of
from zoo.compare.analysis.record import Record
from zoo.compare.analysis.statistics import Interval
from zoo.compare.report.tables import examples_of, p_numbers
from zoo.config import registry
from zoo.config.yaml_file import read_yaml
from zoo.errors import quoted
from zoo.run_folder import RunFolder
from zoo.system.atomic import atomic_write
from zoo.system.console import say

WHY = ("place", "arm", "when", "writes so far", "stream", "gradient", "share of the branch",
       "collapse", "measure of collapse")  # fmt: skip
AXES = ("place", "task", "depth", "arm", "pair", "seed")
SENT = "mirrored.json"  # addresses of the runs that were sent before


def sync(record: Record, path: Path) -> None:
    """Sends the runs that were not sent before; where W&B fails, only its copy is missing.

    Args:
        record: of the comparison.
        path: of its folder; offline runs lie in its subfolder `wandb`.
    """
    sent_file = path / SENT
    sent = set(json.loads(sent_file.read_text())) if sent_file.is_file() else set()
    key = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]
    group = f"compare-{record.name}-{key}"
    offline = False
    every = [(phase, run) for phase, runs in record.phases.items() for run in runs]
    for phase, run in every:
        if run.status == "failed" or run.id in sent:
            continue
        axes = {axis: getattr(run, axis) for axis in AXES}
        name = f"{run.place}, {run.arm}, {run.pair}"
        logger = open_run(path, group, phase, name, run.id, axes)
        if logger.run is None:
            return
        offline = offline or logger.run.settings._offline
        folder = RunFolder(path / "cells" / run.id)
        for line in folder.rows():
            logger.row(line)
        result = folder.result()
        if phase == "tuning":  # which is about validation alone
            result["metrics"] = {k: v for k, v in result["metrics"].items() if k[:5] != "test/"}
        finish(logger, result)
        sent.add(run.id)
        atomic_write(sent_file, json.dumps(sorted(sent)))
    logger = open_run(path, group, "report", "comparison", "comparison", asdict(record.declared))
    if logger.run is None:
        return
    logger.guarded(lambda: log_comparison(logger.run, record, path))
    finish(logger, {"status": "done", "metrics": {}})
    if offline:
        folder_word = quoted([str(path / "wandb")])
        say(f"W&B was offline; upload all by: wandb sync {folder_word}")


def open_run(
    path: Path, group: str, phase: str, name: str, key: str, about: Mapping[str, Any]
) -> Any:
    """A logger with a run of the group, or without one where W&B is off.

    Args:
        path: of the folder of the comparison.
        group: name of the group.
        phase: what the run is for, by which W&B groups as well.
        name: of the run.
        key: of the run, its address.
        about: further entries of its configuration.
    """
    logger = registry.factory("logger", "wandb", {"group": group, "name": name[:120]})()
    file = path / "cells" / key / "config.yaml"
    config = read_yaml(file) if file.is_file() else {}
    defaults = {"id": f"{group[-8:]}-{key}", "group": group, "tags": ["compare"]}
    defaults["job_type"] = phase
    logger.start(path, {**config, **about}, defaults)
    return logger


def finish(logger: Any, result: Mapping[str, Any]) -> None:
    """Ends the run of a logger without its message, since one command uploads all runs."""
    log = logging.getLogger("zoo")
    before, log.disabled = log.disabled, True
    try:
        logger.finish({"curves": {}, **result}, {})
    finally:
        log.disabled = before


def log_comparison(run: Any, record: Record, path: Path) -> None:
    """Logs the tables, the figures and, as an artifact, the reports of a comparison.

    Args:
        run: of W&B.
        record: of the comparison.
        path: of its folder.
    """
    import wandb

    gaps = [
        [place.title, c.arm, c.baseline, *numbers(c.gap), c.pairs, c.verdict, c.delta,
         examples_of(place), *p_numbers(c)]
        for place, c in contrasts_of(record.places)
    ]  # fmt: skip
    head = ["place", "arm", "baseline", "gap", "low", "high", "pairs", "verdict",
            "smallest effect", "test examples", "p", "p (Holm)", "p (ahead, Holm)",
            "least p"]  # fmt: skip
    entries: dict[str, Any] = {"gaps": wandb.Table(columns=[*head], data=gaps)}
    arms = [
        [place.title, arm.arm, arm.mean, arm.sd, arm.done, arm.diverged]
        for place in record.places
        for arm in place.arms
    ]
    head = ["place", "arm", "mean", "sd", "done", "diverged"]
    entries["arms"] = wandb.Table(columns=[*head], data=arms)
    if record.streams:
        entries["why"] = wandb.Table(columns=[*WHY], data=[*rows_of_streams(record)])
    for figure in sorted((path / "figures").glob("*.png")):
        entries[f"figures/{figure.stem}"] = wandb.Image(str(figure))
    run.log(entries)
    artifact = wandb.Artifact(f"{record.name}-report", type="report")
    for name in ("report.html", "report.md", "compare.json", "cells.csv"):
        if (path / name).is_file():
            artifact.add_file(str(path / name))
    for name in ("figures", "tables"):
        if (path / name).is_dir():
            artifact.add_dir(str(path / name), name=name)
    run.log_artifact(artifact)


def rows_of_streams(record: Record) -> Iterator[list[Any]]:
    """What the streams of one pair do, with a row for every depth."""
    for stream in record.streams:
        for when, seen in (("start", stream.seen.start), ("end", stream.seen.end)):
            if not seen:
                continue
            for depth in range(len(seen["stream"])):
                lists = (seen["stream"], seen["gradient"], [None, *seen["share"]], seen["collapse"])
                here = [values[depth] if depth < len(values) else None for values in lists]
                yield [stream.place, stream.arm, when, depth, *here, stream.seen.measure]


def numbers(interval: Interval | None) -> list[float | None]:
    """The value and the ends of an interval; three times None without one."""
    return [*astuple(interval)] if interval else [None] * 3
