"""Learning curves of the runs of a comparison, thinned for figures."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from zoo.compare.analysis.runs import Run
from zoo.run_folder import RunFolder

MOST = 60  # points of a curve
Curve = list[tuple[float, float]]  # steps and values
Curves = dict[str, dict[str, Curve]]  # by the address of a run and the name of a measure


def curves_of(runs: Iterable[Run], folders: Sequence[Path]) -> Curves:
    """The curves of every run that has some, from the first folder that has the run."""
    found: Curves = {}
    for run in runs:
        for folder in folders:
            own = read(RunFolder(folder / "cells" / run.id))
            if own:
                found[run.id] = own
                break
    return found


def read(run: RunFolder) -> dict[str, Curve]:
    """The curves of one run."""
    points: dict[str, dict[float, float]] = {}
    for row in run.rows():
        for key, value in row.items():
            if "/" in key and isinstance(value, (int, float)) and math.isfinite(value):
                points.setdefault(key, {})[row["step"]] = value
    return {key: thinned(sorted(found.items())) for key, found in points.items()}


def thinned(points: Curve) -> Curve:
    """Every n-th point, and the last one."""
    stride = -(-len(points) // MOST)
    return points[::stride] + (points[-1:] if (len(points) - 1) % stride else [])


def measures(metric: str | None, curves: Iterable[dict[str, Curve]]) -> list[str]:
    """The measures worth a figure: the loss and the metric, in training and validation."""
    known = {key for own in curves for key in own}
    name = (metric or "test/loss").partition("/")[2]
    wanted = dict.fromkeys(("train/loss", f"val/{name}", f"train/{name}", "val/loss"))
    return [key for key in wanted if key in known]
