"""The record of a comparison as Markdown: verdicts first, then the numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from zoo.compare.analysis.record import Record
from zoo.compare.analysis.runs import WAITING
from zoo.compare.execution.progress import duration
from zoo.compare.report import tables, tables_runs
from zoo.compare.report.tables import Table
from zoo.compare.report.words import caveats, interval, number, omitted, sentences, why
from zoo.errors import shown

GAPS = """\
Gaps are arm less baseline, positive where the arm is better, from four pairs on with Student's 95 %
interval; p is of exact sign flips, by Holm over the deepest place of each family; other places
explore."""


def harmless(line: str) -> str:
    """A line in which no name is HTML, a picture or a link.

    >>> harmless("* <b> and ![b](c)")
    '* &lt;b> and ![b]\\\\(c)'
    """
    return shown(line).replace("<", "&lt;").replace("](", "]\\(")


def cells(values: Sequence[Any]) -> str:
    """A row of a table in Markdown; what could end a cell is escaped."""
    texts = (str(value).replace("\\", "\\\\").replace("|", "\\|") for value in values)
    return "| " + " | ".join(" ".join(text.split()) for text in texts) + " |"


def table(it: Table) -> list[str]:
    """A table in Markdown."""
    return [cells(it.columns), "| " + " | ".join(["---"] * len(it.columns)) + " |",
            *map(cells, it.rows)]  # fmt: skip


def markdown(record: Record) -> str:
    """The whole report."""
    declared = record.declared
    total = sum(row.seconds or 0 for row in record.cells)
    lines = [f"# Comparison: {record.name}", ""]
    lines += [f"* {sentence}" for sentence in sentences(record)]
    lines += ["", f"{len(record.cells)} runs, {duration(total)} of training and evaluation.", ""]
    lines += GAPS.splitlines()
    lines += ["", *table(tables.gaps(record))]
    if record.slopes:
        lines += ["", "The gap by depth (the primary hypothesis), a doubling of depth adds:", ""]
        rows = [
            [s.family, s.arm, interval(s.slope), number(s.holm_p), s.verdict] for s in record.slopes
        ]
        lines += table(Table("", "family|arm|slope|p|verdict", rows))
    for found in record.overall:
        lines += [
            "",
            f"Over {', '.join(found.tasks)} at their deepest (chance 0, reference 1), the "
            f"interquartile mean of {found.arm} is {number(found.iqm)}, of "
            f"{found.baseline} {number(found.baseline_iqm)}: gap "
            f"{'; '.join(filter(None, [interval(found.gap), omitted(found)]))}.",
        ]
    lines += ["", "Secondary: the same runs judged in another way.", ""]
    lines += [*table(tables.secondary(record)), "", *table(tables.costs(record)), ""]
    warnings = [f"{place.title}: {w}" for place in record.places for w in place.warnings]
    lines += [f"* Warning: {warning}." for warning in warnings]
    waiting = sum(row.status == WAITING for row in record.cells)
    lines += [f"* {waiting} runs have not run yet."] if waiting else []
    failed = [row for row in record.cells if row.status in ("failed", "diverged")]
    for row in failed:
        where = f"{row.place}, {row.arm}, pair {row.pair}"
        lines.append(f"* {row.status}: {where}: {why(row)}")
    events = tables_runs.events(record)
    lines += ["", "Losses out of the usual.", "", *table(events), ""] if events.rows else []
    lines += [f"* {caveat}" for caveat in caveats(record)]
    if declared.null:
        lines.append("* A null comparison: both arms are the same rule under other seeds.")
    lines = [*map(harmless, lines)]
    fence = "`" * (1 + max(map(len, re.findall("`+", record.command)), default=0))
    command = shown(" ".join(record.command.split()))
    lines += ["", f"Made by {fence} {command} {fence}; `compare.json` has everything."]
    return "\n".join(lines) + "\n"
