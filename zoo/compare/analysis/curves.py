"""Learning curves of the runs of a comparison, thinned for figures."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from zoo.compare.analysis.runs import Run
from zoo.run_folder import RunFolder

MOST = 60  # points of a curve, about
Curve = list[tuple[float, float]]  # steps and values
Curves = dict[str, dict[str, Curve]]  # by address of the run and name of the measure


def curves_of(runs: Iterable[Run], folders: Sequence[Path]) -> Curves:
    """The curves of every run, from the first folder that has some of it.

    Args:
        runs: of the comparison.
        folders: of comparisons, which hold the runs.
    """
    curves: Curves = {}
    for run in runs:
        for folder in folders:
            if by_measure := read_curves(RunFolder(folder / "cells" / run.id)):
                curves[run.id] = by_measure
                break
    return curves


def read_curves(run: RunFolder) -> dict[str, Curve]:
    """The curves of one run by the names of their measures."""
    points: dict[str, dict[float, float]] = {}
    for row in run.rows():
        for key, value in row.items():
            if "/" in key and isinstance(value, (int, float)) and math.isfinite(value):
                points.setdefault(key, {})[row["step"]] = value
    return {key: thinned(sorted(values.items())) for key, values in points.items()}


def thinned(points: Curve) -> Curve:
    """Every n-th point and the last one, so that about `MOST` are left."""
    stride = -(-len(points) // MOST)
    return points[::stride] + (points[-1:] if (len(points) - 1) % stride else [])


def measures(metric: str | None, curves: Iterable[dict[str, Curve]]) -> list[str]:
    """The measures that figures show: loss and primary metric, in training and validation.

    Args:
        metric: name of the primary metric; None where no run has ended.
        curves: of each run, by measure; measures without a curve are left out.
    """
    known = {key for by_measure in curves for key in by_measure}
    name = (metric or "test/loss").partition("/")[2]
    wanted = dict.fromkeys(("train/loss", f"val/{name}", f"train/{name}", "val/loss"))
    return [key for key in wanted if key in known]
