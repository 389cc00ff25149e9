"""The record of a comparison as Markdown: verdicts first, then the numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from zoo.compare.across import Row, families
from zoo.compare.progress import duration

CAVEATS = (
    "One set of hyperparameters for all arms; none was tuned for this comparison.",
    "Every run is judged at its last step. Runs that diverged count as chance.",
    "These tasks are no sample of all tasks.",
)
GAPS = ["place", "metric", "arm", "baseline", "gap", "training gap", "pairs", "p", "verdict"]
COSTS = ["place", "arm", "done", "not done", "parameters", "MFLOPs a step", "ms a step"]
COSTS += ["s a run", "MiB of the process"]


def number(value: float | None, digits: int = 3) -> str:
    """A number with some significant digits.

    >>> number(0.98765), number(-12.34), number(None)
    ('0.988', '-12.3', '')
    """
    if value is None or not math.isfinite(value):
        return ""
    if not value:
        return "0"
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:.{min(places, 6)}f}"


def interval(found: Row | None) -> str:
    """An estimate with its interval."""
    if found is None:
        return ""
    if found["low"] is None:
        return f"{number(found['value'])}"
    return f"{number(found['value'])} ({number(found['low'])} to {number(found['high'])})"


def cells(values: Sequence[Any]) -> str:
    """A row of a table in Markdown; what could end a cell is escaped."""
    texts = (str(value).replace("\\", "\\\\").replace("|", "\\|") for value in values)
    return "| " + " | ".join(" ".join(text.split()) for text in texts) + " |"


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    """A table in Markdown."""
    return [cells(head), "| " + " | ".join(["---"] * len(head)) + " |", *map(cells, rows)]


@dataclass(frozen=True)
class Statement:
    """What is said of one contrast in one family.

    Args:
        family: of places.
        arm: its name.
        baseline: the other one's.
        parts: of the sentence: where, the verdict and the gap; the deepest place, the shallowest
            one, and the growth with depth.
    """

    family: str
    arm: str
    baseline: str
    parts: list[tuple[str, str, str]]


def statements(record: Row) -> list[Statement]:
    """One statement for each family and contrast."""
    found = []
    for family, places in families(record):
        for arm, baseline in record["declared"]["baselines"].items():
            own = [(p, c) for p in places for c in p["contrasts"] if c["arm"] == arm]
            parts = [
                (
                    place["title"].removeprefix(family).lstrip(", ") or "overall",
                    contrast["verdict"],
                    f", gap {interval(contrast.get('gap')) or 'unknown'}",
                )
                for place, contrast in (own[-1:] + own[:-1][:1])
            ]
            slope = [s for s in record["slopes"] if s["family"] == family and s["arm"] == arm]
            parts += [("the gap by depth", s["verdict"], "") for s in slope]
            if parts:
                found.append(Statement(family, arm, baseline, parts))
    return found


def sentences(record: Row) -> list[str]:
    """One sentence for each family and contrast."""
    return [
        f"{s.family}, {s.arm} against {s.baseline}: "
        f"{'; '.join(f'{where}: {found}{gap}' for where, found, gap in s.parts)}."
        for s in statements(record)
    ]


Rows = tuple[list[str], list[list[Any]]]  # a head and what is below it


def gap_rows(record: Row) -> Rows:
    """Every arm against its baseline at every place."""
    rows = []
    for place in record["places"]:
        arms = {arm["arm"]: arm for arm in place["arms"]}
        for c in place["contrasts"]:
            ours, theirs = arms[c["arm"]], arms[c["baseline"]]
            rows.append(
                [
                    place["title"],
                    (place.get("metric") or "").removeprefix("test/"),
                    f"{c['arm']} {number(ours['mean'])}",
                    f"{c['baseline']} {number(theirs['mean'])}",
                    interval(c.get("gap")),
                    interval(c["train_gap"]),
                    f"{c['pairs']}",
                    number(c["holm_p"]) + (", exploratory" if c["exploratory"] else ""),
                    c["verdict"],
                ]
            )
    return GAPS, rows


def gaps(record: Row) -> list[str]:
    """Every arm against its baseline at every place, in Markdown."""
    return table(*gap_rows(record))


def cost_rows(record: Row) -> Rows:
    """What every arm costs at every place."""
    rows = [
        [
            place["title"],
            arm["arm"],
            f"{arm['done']} of {arm['launched']}",
            f"{arm['diverged']} diverged, {arm['failed']} failed",
            f"{arm['parameters']:,.0f}" if arm["parameters"] else "",
            number((arm["flops"] or 0) / 1e6),
            number(1e3 * arm["seconds_per_step"]) if arm["seconds_per_step"] else "",
            number(arm["seconds"]),
            number((arm["peak_memory_bytes"] or 0) / 2**20),
        ]
        for place in record["places"]
        for arm in place["arms"]
    ]
    return COSTS, rows


def markdown(record: Row) -> str:
    """The whole report."""
    declared = record["declared"]
    total = sum(row.get("seconds") or 0 for row in record["cells"])
    lines = [f"# Comparison: {record['name']}", ""]
    lines += [f"* {sentence}" for sentence in sentences(record)]
    lines += ["", f"{len(record['cells'])} runs, {duration(total)} of training and evaluation.", ""]
    lines += ["Gaps are arm less baseline, positive where the arm is better, with Student's 95 %"]
    lines += ["interval; p is of exact sign flips, by Holm over all rows.", ""]
    lines += gaps(record)
    if record["slopes"]:
        lines += ["", "The gap by depth (the primary hypothesis), a doubling of depth adds:", ""]
        rows = [
            [s["family"], s["arm"], interval(s["slope"]), number(s["holm_p"]), s["verdict"]]
            for s in record["slopes"]
        ]
        lines += table(["family", "arm", "slope", "p", "verdict"], rows)
    for found in record["overall"]:
        lines += [
            "",
            f"Over {', '.join(found['tasks'])} at their deepest (chance 0, reference 1), the "
            f"interquartile mean of {found['arm']} is {number(found['iqm'])}, of "
            f"{found['baseline']} {number(found['baseline_iqm'])}: gap {interval(found['gap'])}.",
        ]
    lines += ["", *table(*cost_rows(record)), ""]
    warnings = [f"{place['title']}: {w}" for place in record["places"] for w in place["warnings"]]
    lines += [f"* Warning: {warning}." for warning in warnings]
    failed = [row for row in record["cells"] if row["status"] in ("failed", "diverged")]
    for row in failed:
        why = row.get("reason") or "counts as chance"
        lines.append(f"* {row['status']}: {row['place']}, {row['arm']}, pair {row['pair']}: {why}")
    lines += [f"* {caveat}" for caveat in CAVEATS]
    if declared["null"]:
        lines.append("* A null comparison: both arms are the same rule under other seeds.")
    lines = [line.replace("<", "&lt;") for line in lines]  # a name is no HTML
    lines += ["", f"Made by `{record['command']}`; `compare.json` has everything."]
    return "\n".join(lines) + "\n"
