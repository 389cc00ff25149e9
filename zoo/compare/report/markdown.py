"""The record of a comparison as Markdown: verdicts first, then the numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from zoo.compare.analysis.record import Record
from zoo.compare.analysis.runs import WAITING
from zoo.compare.execution.progress import duration
from zoo.compare.report import plan_words, tables, tables_runs
from zoo.compare.report.formats import interval, number, range_without_a_task, why_no_score
from zoo.compare.report.plan_words import plan_facts
from zoo.compare.report.sentences import caveats, on_the_plan, sentences
from zoo.compare.report.tables import Table
from zoo.errors import shown

GAPS = """\
A gap is the median over pairs of the arm less its baseline, positive where the arm is better, from
five pairs on with its exact interval of 95 % (of five pairs: 94 %). p is of the sign test that the
arms differ by more than the smallest effect in most pairs. Holm's correction is over the deepest
place of each family; other places explore. The least p is what so few pairs can reach."""


def harmless(line: str) -> str:
    """A line in which names cannot act as HTML, a picture or a link.

    >>> harmless("* <b> and ![b](c)")
    '* &lt;b> and ![b]\\\\(c)'
    """
    return shown(line).replace("<", "&lt;").replace("](", "]\\(")


def table_row(cells: Sequence[Any]) -> str:
    """A row of a table in Markdown; characters that could end a cell are escaped."""
    texts = (str(value).replace("\\", "\\\\").replace("|", "\\|") for value in cells)
    return "| " + " | ".join(" ".join(text.split()) for text in texts) + " |"


def table_lines(table: Table) -> list[str]:
    """The lines of a table in Markdown."""
    return [table_row(table.columns), "| " + " | ".join(["---"] * len(table.columns)) + " |",
            *map(table_row, table.rows)]  # fmt: skip


def markdown(record: Record) -> str:
    """The report as Markdown."""
    declared = record.declared
    total = sum(row.seconds or 0 for row in record.cells)
    lines = [f"# Comparison: {record.name}", ""]
    if first := on_the_plan(record):
        lines += [*(f"* {sentence}" for sentence in first), ""]
    lines += [f"* {sentence}" for sentence in sentences(record)]
    lines += ["", f"{len(record.cells)} runs, {duration(total)} of training and evaluation.", ""]
    lines += GAPS.splitlines()
    lines += ["", *table_lines(tables.gaps(record))]
    if record.slopes:
        lines += ["", "The gap by depth (the primary hypothesis), a doubling of depth adds:", ""]
        rows = [
            [s.family, s.arm, interval(s.slope), number(s.holm_p), s.verdict] for s in record.slopes
        ]
        lines += table_lines(Table("", "family|arm|slope|p|verdict", rows))
    for average in record.overall:
        lines += [
            "",
            f"Over {', '.join(average.tasks)} at their deepest (chance 0, reference 1), the "
            f"interquartile mean of {average.arm} is {number(average.iqm)}, of "
            f"{average.baseline} {number(average.baseline_iqm)}: gap "
            f"{'; '.join(filter(None, [interval(average.gap), range_without_a_task(average)]))}.",
        ]
    if record.noise:
        floors = plan_words.noise(record)
        lines += ["", f"{floors.title}.", "", *table_lines(floors)]
    lines += ["", "Secondary: the same runs judged in another way.", ""]
    lines += [*table_lines(tables.secondary(record)), "", *table_lines(tables.costs(record)), ""]
    warnings = [f"{place.title}: {w}" for place in record.places for w in place.warnings]
    lines += [f"* Warning: {warning}." for warning in warnings]
    waiting = sum(row.status == WAITING for row in record.cells)
    lines += [f"* {waiting} runs have not run yet."] if waiting else []
    failed = [row for row in record.cells if row.status in ("failed", "diverged")]
    for row in failed:
        where = f"{row.place}, {row.arm}, pair {row.pair}"
        lines.append(f"* {row.status}: {where}: {why_no_score(row)}")
    events = tables_runs.events(record)
    lines += ["", "Losses out of the usual.", "", *table_lines(events), ""] if events.rows else []
    lines += [f"* {caveat}" for caveat in caveats(record)]
    lines += [f"* {name.capitalize()}: {fact}." for name, fact in plan_facts(record)]
    if declared.null:
        lines.append("* A null comparison: both arms are the same rule under other seeds.")
    lines = [*map(harmless, lines)]
    fence = "`" * (1 + max(map(len, re.findall("`+", record.command)), default=0))
    command = shown(" ".join(record.command.split()))
    lines += ["", f"Made by {fence} {command} {fence}; `compare.json` has everything."]
    return "\n".join(lines) + "\n"
