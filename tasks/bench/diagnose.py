"""The score of diagnoses: planted faults that are found and named, and healthy nets accused.

The nets are data of the project's tests, so that a score takes a clone of the project. They come
in two halves: limits were set on the first one. How far the second one was held out is told in
`notebooks/results/diagnosis.md`.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from zoo.diagnosis.diagnose import diagnose
from zoo.diagnosis.finding import CAUSES, Finding
from zoo.errors import ConfigError
from zoo.report import Report

TESTS = Path(__file__).parents[2] / "tests" / "helpers"
HALVES = ("first", "second")


def scored_nets() -> Any:
    """The module of the tests that holds the nets.

    Errors:
        ConfigError: the project's tests are not there.
    """
    if not (TESTS / "scored_nets.py").is_file():
        what = "the planted faults are part of the project's tests, which are not here"
        raise ConfigError(what, str(TESTS), "run it in a clone of the project")
    if str(TESTS) not in sys.path:
        sys.path.append(str(TESTS))
    return importlib.import_module("scored_nets")


def bench(words: Sequence[str]) -> Report:
    """Diagnoses every planted and every healthy net.

    Errors:
        ConfigError: there are words, which would choose a net.
    """
    if words:
        raise ConfigError("bench of=diagnose has nets of its own", words[0], "leave it out")
    nets = scored_nets()
    torch.set_num_threads(1)
    record = score(nets, nets.PLANTED, nets.HEALTHY)
    return Report(record, table(record))


def score(nets: Any, planted: list[Any], healthy: list[Any]) -> dict[str, Any]:
    """What diagnoses say of planted and healthy nets.

    Args:
        nets: the module that holds them.
        planted: nets with a fault each.
        healthy: nets without any.
    """
    lacking = sorted(
        {net.kind for net in planted if nets.missing(net.kind)}
        | {net.library for net in healthy if nets.missing(net.library)}
    )
    planted = [net for net in planted if net.kind not in lacking]
    healthy = [net for net in healthy if net.library not in lacking]
    record: dict[str, Any] = {"planted": [], "healthy": [], "not_learned": [], "lacking": lacking}
    with warnings.catch_warnings(), tqdm(total=len(planted) + len(healthy), disable=None) as bar:
        warnings.simplefilter("ignore")
        for net in planted:
            record["planted"].append(of_planted(net) | {"reason": nets.MISSED.get(str(net))})
            bar.update()
        for net in healthy:
            states = list(of_healthy(net))
            learned = net.half == "first" or len(states) > 1
            record["healthy" if learned else "not_learned"] += states
            bar.update()
    return record


def of_planted(net: Any) -> dict[str, Any]:
    """Whether a planted fault is found, and named where it is; None where that is the whole net."""
    torch.manual_seed(0)
    module, batch, loss, optimizer, where = net.plant()
    findings = diagnose(module, batch, loss, optimizer).findings
    same = [finding for finding in findings if finding.cause == net.cause]
    keys = ("half", "cause", "fault", "net", "kind")
    return {key: getattr(net, key) for key in keys} | {
        "found": bool(same),
        "named": None if where is None else any(within(f.where, where) for f in same),
        "findings": [str(finding) for finding in same or findings],
    }


def within(one: str, other: str) -> bool:
    """Whether one of two modules lies in the other, and neither is the whole net."""
    short, long = sorted((one, other), key=len)
    return short != "" and f"{long}.".startswith(f"{short}.")


def of_healthy(net: Any) -> Iterator[dict[str, Any]]:
    """Of what each state of a healthy net is accused."""
    torch.manual_seed(0)
    for state in net.states():
        findings: list[Finding] = diagnose(
            state.net, state.batch, state.loss, state.optimizer
        ).findings
        yield {
            "half": net.half,
            "net": net.name,
            "state": state.name,
            "causes": sorted({finding.cause for finding in findings}),
            "findings": [str(finding) for finding in findings],
        }


def table(record: dict[str, Any]) -> str:
    """The record as a table by cause and half, the misses and the false alarms.

    Three columns are of the first half, and three of the second. A fault with a place counts as
    named there if a finding's module is it, lies in it or holds it, and is not the whole net.
    """
    lines = [
        f"| cause |{' found / planted | named / with a place | alarms |' * len(HALVES)}",
        f"| --- |{' --- | --- | --- |' * len(HALVES)}",
    ]
    for cause in (*CAUSES, None):
        cells = [cause or "all"]
        for half in HALVES:
            rows = [row for row in record["planted"] if row["half"] == half]
            rows = [row for row in rows if cause in (row["cause"], None)]
            healthy = [row for row in record["healthy"] if row["half"] == half]
            accused = [row for row in healthy if cause in (*row["causes"], None) and row["causes"]]
            placed = [row["named"] for row in rows if row["named"] is not None]
            cells.append(f"{sum(row['found'] for row in rows)} / {len(rows)}")
            cells.append(f"{sum(placed)} / {len(placed)}")
            cells.append(f"{len(accused)} / {len(healthy)}" if cause is None else f"{len(accused)}")
        lines.append(f"| {' | '.join(cells)} |")
    for row in record["planted"]:
        if not row["found"] or row["named"] is False:
            how = "named elsewhere" if row["found"] else "not found"
            why = row["reason"] or "; ".join(row["findings"]) or "nothing is said"
            lines.append(f"{how}: {row['cause']}, {row['fault']}, {row['net']}: {why}")
    lines += [
        f"accused: {row['net']}, {row['state']}: {'; '.join(row['findings'])}"
        for row in record["healthy"]
        if row["causes"]
    ]
    if names := [row["net"] for row in record["not_learned"]]:
        lines.append(f"have not learned, and count for nothing: {len(names)}: {'; '.join(names)}")
    if record["lacking"]:
        lines.append(f"left out, not installed: {', '.join(record['lacking'])}")
    return "\n".join(lines)
