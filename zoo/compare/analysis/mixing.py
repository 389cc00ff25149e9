"""The mixing matrices of the arms: what each branch of a short stack reads as training starts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from zoo.compare.analysis.aggregate import grouped
from zoo.compare.analysis.record import Mechanism
from zoo.compare.analysis.runs import Run
from zoo.config.yaml_file import read_yaml
from zoo.errors import ConfigError

LENGTH = 8  # branches


def mechanisms(runs: Iterable[Run], folders: Sequence[Path]) -> dict[str, Mechanism]:
    """For each arm its rule, its matrix or None, and a remark; of arms that have a run."""
    found = {}
    for arm, own in grouped(runs, lambda run: run.arm):
        paths = (folder / "cells" / run.id / "config.yaml" for run in own for folder in folders)
        path = next((path for path in paths if path.is_file()), None)
        if path is not None:
            config = read_yaml(path)
            found[arm] = mechanism(config["choices"]["connection"], config["connection"])
    return found


def mechanism(rule: str, options: dict[str, Any]) -> Mechanism:
    """The matrix of one rule; only rules that are linear in their state have one."""
    import torch

    from zoo.config import registry
    from zoo.connection import Site
    from zoo.probes.mixing import mixing

    fixed = bool(options.get("dynamic"))
    given = {**options, "dynamic": False} if fixed else options
    try:
        connect = registry.factory("connection", rule, given)
    except ConfigError:
        return Mechanism(rule, None, "it is not registered here")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        sites = [connect(site) for site in Site.line(4, LENGTH)]
    if not all(site.linear for site in sites):
        return Mechanism(rule, None, "it is not linear in its state")
    matrix = [[round(value, 4) for value in row] for row in mixing(sites).tolist()]
    note = "without the weights that depend on the data" if fixed else ""
    return Mechanism(rule, matrix, note)
