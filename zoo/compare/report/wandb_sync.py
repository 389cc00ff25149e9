"""W&B receives every run of a comparison, in one group, and the comparison as one more run."""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path
from typing import Any

from zoo.compare.analysis.aggregate import Row
from zoo.config import registry
from zoo.config.yaml_file import read_yaml
from zoo.errors import quoted
from zoo.run_folder import RunFolder, write_whole
from zoo.system.console import say

AXES = ("place", "task", "depth", "arm", "pair", "seed")
SENT = "mirrored.json"  # the runs that were sent before


def mirror(record: Row, path: Path) -> None:
    """Sends what was not sent before; where W&B fails, the comparison stands all the same.

    Args:
        record: of the comparison.
        path: its folder; offline runs lie in its folder `wandb`.
    """
    sent_file = path / SENT
    sent = set(json.loads(sent_file.read_text())) if sent_file.is_file() else set()
    key = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]
    group = f"compare-{record['name']}-{key}"
    offline = False
    for row in record["cells"]:
        if row["status"] == "failed" or row["id"] in sent:
            continue
        logger = open_run(
            path, group, f"{row['place']}, {row['arm']}, {row['pair']}", row["id"], row
        )
        if logger.run is None:
            return
        offline = offline or logger.run.settings._offline
        folder = RunFolder(path / "cells" / row["id"])
        for line in folder.rows():
            logger.row(line)
        finish(logger, folder.result())
        sent.add(row["id"])
        write_whole(sent_file, json.dumps(sorted(sent)))
    logger = open_run(path, group, "comparison", "comparison", record["declared"])
    if logger.run is None:
        return
    logger.guarded(lambda: tell(logger.run, record, path))
    finish(logger, {"status": "done", "metrics": {}})
    if offline:
        place = quoted([str(path / "wandb")])
        say(f"W&B was offline; upload all by: wandb sync {place}")


def open_run(path: Path, group: str, name: str, key: str, about: Row) -> Any:
    """A run of the group; its logger has no run where W&B is off."""
    logger = registry.maker("logger", "wandb", {"group": group, "name": name[:120]})()
    config = {axis: about[axis] for axis in AXES if axis in about} or about
    folder = path / "cells" / key / "config.yaml"
    whole = read_yaml(folder) if folder.is_file() else {}
    defaults = {"id": f"{group[-8:]}-{key}", "group": group, "tags": ["compare"]}
    logger.start(path, {**whole, **config}, defaults)
    return logger


def finish(logger: Any, result: Row) -> None:
    """Ends a run quietly: one command uploads them all."""
    log = logging.getLogger("zoo")
    before, log.disabled = log.disabled, True
    try:
        logger.finish({"curves": {}, **result}, {})
    finally:
        log.disabled = before


def tell(run: Any, record: Row, path: Path) -> None:
    """The comparison's own run: tables, figures, and the report as an artifact."""
    import wandb

    gaps = [
        [place["title"], c["arm"], c["baseline"], *numbers(c.get("gap")), c["pairs"], c["verdict"]]
        for place in record["places"]
        for c in place["contrasts"]
    ]
    head = ["place", "arm", "baseline", "gap", "low", "high", "pairs", "verdict"]
    shown: Row = {"gaps": wandb.Table(columns=[*head], data=gaps)}
    arms = [
        [place["title"], arm["arm"], arm["mean"], arm["sd"], arm["done"], arm["diverged"]]
        for place in record["places"]
        for arm in place["arms"]
    ]
    head = ["place", "arm", "mean", "sd", "done", "diverged"]
    shown["arms"] = wandb.Table(columns=[*head], data=arms)
    for figure in sorted((path / "figures").glob("*.png")):
        shown[f"figures/{figure.stem}"] = wandb.Image(str(figure))
    run.log(shown)
    artifact = wandb.Artifact(f"{record['name']}-report", type="report")
    for name in ("report.html", "report.md", "compare.json", "cells.csv"):
        if (path / name).is_file():
            artifact.add_file(str(path / name))
    if (path / "figures").is_dir():
        artifact.add_dir(str(path / "figures"), name="figures")
    run.log_artifact(artifact)


def numbers(interval: Row | None) -> list[float | None]:
    """An interval as three cells of a table."""
    return [interval[key] for key in ("value", "low", "high")] if interval else [None] * 3
