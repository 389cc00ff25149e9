"""Mixing matrices of the arms: what each branch of a short stack reads as training starts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from zoo.compare.analysis.aggregate import grouped
from zoo.compare.analysis.record import Mixing
from zoo.compare.analysis.runs import Run
from zoo.config.yaml_file import read_yaml
from zoo.errors import ConfigError

LENGTH = 8  # branches of the stack whose matrix is shown


def mixing_of_arms(runs: Iterable[Run], folders: Sequence[Path]) -> dict[str, Mixing]:
    """For each arm of which a run has begun, what its connection mixes.

    Args:
        runs: of the comparison.
        folders: of comparisons, which hold the runs.
    """
    mixing = {}
    for arm, runs_of_arm in grouped(runs, lambda run: run.arm):
        paths = (
            folder / "cells" / run.id / "config.yaml" for run in runs_of_arm for folder in folders
        )
        path = next((path for path in paths if path.is_file()), None)
        if path is not None:
            config = read_yaml(path)
            mixing[arm] = mixing_of_rule(config["choices"]["connection"], config["connection"])
    return mixing


def mixing_of_rule(rule: str, options: dict[str, Any]) -> Mixing:
    """What one connection mixes; only connections that are linear in their state have a matrix."""
    import torch

    from zoo.config import registry
    from zoo.connection import Site
    from zoo.probes.mixing import mixing

    static = bool(options.get("dynamic"))
    options = {**options, "dynamic": False} if static else options
    try:
        connect = registry.factory("connection", rule, options)
    except ConfigError:
        return Mixing(rule, None, "it is not registered here")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        connections = [connect(site) for site in Site.line(4, LENGTH)]
    if not all(connection.linear for connection in connections):
        return Mixing(rule, None, "it is not linear in its state")
    matrix = [[round(value, 4) for value in row] for row in mixing(connections).tolist()]
    note = "without the weights that depend on the data" if static else ""
    return Mixing(rule, matrix, note)
