"""What holds across places: the growth of gaps with depth, and means over tasks."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from zoo.compare.analysis import statistics as stats
from zoo.compare.analysis.verdict import CLAIM, estimate, slope_verdict

Row = dict[str, Any]


def grouped(rows: Iterable[Row], key: str) -> list[tuple[str, list[Row]]]:
    """Rows by the value of a key, in order of appearance."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row[key], []).append(row)
    return list(found.items())


def families(record: Row) -> list[tuple[str, list[Row]]]:
    """The places of each family, from the shallowest to the deepest."""
    found = grouped(record["places"], "family")
    for _, places in found:
        if all(isinstance(place["depth"], (int, float)) for place in places):
            places.sort(key=lambda place: place["depth"])
    return found


def growth(places: Sequence[Row], baselines: dict[str, str]) -> list[Row]:
    """How the gap of each arm grows with log2 of depth, for every pair that ran at all depths."""
    found: list[Row] = []
    for (family, group), arm in itertools.product(grouped(places, "family"), baselines):
        met = [(place, c) for place in group for c in place["contrasts"] if c["arm"] == arm]
        depths, own = [place["depth"] for place, _ in met], [c for _, c in met]
        if len(set(depths)) < 2 or not all(c["pairs"] for c in own):
            continue
        if any(c["verdict"].startswith("blocked") for c in own):
            continue
        pairs = sorted(set.intersection(*(set(c["seeds"]) for c in own)))
        gaps = [[c["differences"][c["seeds"].index(pair)] for c in own] for pair in pairs]
        if gaps:
            slopes = [float(s) for s in stats.slopes(gaps, depths)]
            interval = estimate(slopes)
            name = {"family": family, "arm": arm, "baseline": baselines[arm], "depths": depths}
            found.append(
                {**name, "slope": interval, "p": stats.sign_flip_p(slopes), "each": slopes}
            )
    for slope, p in zip(found, stats.holm([slope["p"] for slope in found]), strict=True):
        slope |= {"holm_p": p, "verdict": slope_verdict(slope["each"], p, len(found))}
    return found


def overall(
    rows: Sequence[Row], baselines: dict[str, str], references: dict[str, float]
) -> list[Row]:
    """Interquartile means over tasks at their deepest places; chance is 0, the reference is 1."""
    deepest: dict[str, Any] = {}
    for row in rows:
        depth = row["depth"] if isinstance(row["depth"], (int, float)) else 0
        deepest[row["task"]] = max(depth, deepest.get(row["task"], -math.inf))
    found: list[Row] = []
    for arm, baseline in baselines.items():
        first, second, tasks = [], [], []
        for task in (task for task in deepest if task in references):
            own = [r for r in rows if r["task"] == task and (r["depth"] or 0) == deepest[task]]
            scores = [normalised(own, name, references[task]) for name in (baseline, arm)]
            shared = sorted(scores[0].keys() & scores[1].keys())
            if shared:
                tasks.append(task)
                first.append([scores[0][key] for key in shared])
                second.append([scores[1][key] for key in shared])
        if len(tasks) > 1:
            names: Row = {"arm": arm, "baseline": baseline, "tasks": tasks}
            names["iqm"] = stats.iqm(np.concatenate(second))
            names["baseline_iqm"] = stats.iqm(np.concatenate(first))
            names["without"] = left_out(tasks, first, second)
            gap = stats.iqm_gap(first, second)
            if min(map(len, first)) < CLAIM:  # a bootstrap of few pairs is far too narrow
                gap = stats.Interval(gap.value, None, None)
            found.append({**names, "gap": asdict(gap)})
    return found


def left_out(
    tasks: Sequence[str], first: Sequence[list[float]], second: Sequence[list[float]]
) -> dict[str, float]:
    """The gap of the interquartile means without each task in turn, where two are left."""
    found = {}
    for i, task in enumerate(tasks if len(tasks) > 2 else ()):
        means = (stats.iqm(np.concatenate([*x[:i], *x[i + 1 :]])) for x in (second, first))
        ours, theirs = means
        found[task] = ours - theirs
    return found


def normalised(rows: Sequence[Row], arm: str, reference: float) -> dict[Any, float]:
    """The scores of one arm by place and pair: chance is 0, the reference is 1."""
    return {
        (row["place"], row["pair"]): (row["value"] - row["chance"]) / (reference - row["chance"])
        for row in rows
        if row["arm"] == arm and None not in (row.get("value"), row.get("chance"))
    }
