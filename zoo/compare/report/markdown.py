"""The record of a comparison as Markdown: verdicts first, then the numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from zoo.compare.analysis.record import Record
from zoo.compare.execution.progress import duration
from zoo.compare.report import (
    plan_words,
    tables,
    tables_across,
    tables_arms,
    tables_runs,
    tables_tuning,
)
from zoo.compare.report.methods import methods
from zoo.compare.report.plan_words import plan_facts
from zoo.compare.report.sentences import caveats, headlines, warnings_first
from zoo.compare.report.tables import Table
from zoo.compare.report.title import title
from zoo.compare.report.verdict_table import verdict_table
from zoo.compare.report.why_words import whys
from zoo.errors import shown

GAPS = """\
A gap is the median over pairs of the arm less its baseline, positive where the arm is better, with
its interval of 95 % where there are pairs enough. p is that the arms do not differ by more than the
smallest effect in most pairs. Holm's correction is over the deepest place of each family; other
places explore. The least p is what so few pairs can reach."""


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
    total = sum(row.seconds or 0 for row in record.cells)
    verdicts = verdict_table(record)
    lines = [f"# {title(record)}", "", *(f"* {it}" for it in warnings_first(record)), ""]
    lines += [*table_lines(verdicts), "", *headlines(record)]
    lines += [
        line for place, said in whys(record) for line in ("", f"Why, {place}: {' '.join(said)}")
    ]
    lines += ["", f"{len(record.cells)} runs, {duration(total)} of training and evaluation.", ""]
    lines += GAPS.splitlines()
    lines += ["", *table_lines(tables.gaps(record))]
    if record.slopes:
        lines += [
            "",
            "The gap by depth, a family of hypotheses of its own; a doubling of depth adds:",
            "",
        ]
        lines += table_lines(tables_across.growth(record))
    if record.overall:
        lines += ["", f"{tables_across.averages(record).title}:", ""]
        lines += table_lines(tables_across.averages(record))
    if (uncertainty := tables.uncertainty(record)).rows:
        lines += ["", f"{uncertainty.title}.", "", *table_lines(uncertainty)]
    if record.tuning:
        for table in (tables_tuning.beside(record), tables_tuning.chosen(record)):
            lines += ["", f"{table.title}:", "", *table_lines(table)]
    if record.noise:
        floors = plan_words.noise(record)
        lines += ["", f"{floors.title}.", "", *table_lines(floors)]
    lines += ["", "Secondary: the same runs judged in another way.", ""]
    for table in (tables.secondary(record), tables_arms.costs(record)):
        lines += [*table_lines(table), ""]
    for place, arm, run, what, why, _ in tables_runs.failures(record).rows:
        lines.append(f"* {what}: {place}, {arm}, {run}: {why}")
    events = tables_runs.events(record)
    lines += ["", "Losses out of the usual.", "", *table_lines(events), ""] if events.rows else []
    lines += [f"* {caveat}" for caveat in caveats(record)]
    lines += [f"* {name.capitalize()}: {fact}." for name, fact in plan_facts(record)]
    lines += ["", "## Methods", ""]
    lines += [line for text in methods(record) for line in (text, "")]
    lines = [*map(harmless, lines)]
    fence = "`" * (1 + max(map(len, re.findall("`+", record.command)), default=0))
    command = shown(" ".join(record.command.split()))
    lines += ["", f"Made by {fence} {command} {fence}; `compare.json` has everything."]
    return "\n".join(lines) + "\n"
