"""The report as one page that needs nothing else: no network, no other file.

Charts are JSON that the script of the page hands to Plotly.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from zoo.compare.analysis.aggregate import grouped
from zoo.compare.analysis.curves import Curves
from zoo.compare.analysis.mixing_matrices import LENGTH
from zoo.compare.analysis.record import Record
from zoo.compare.execution.progress import duration
from zoo.compare.report import (
    plan_words,
    sentences,
    tables,
    tables_across,
    tables_arms,
    tables_runs,
    tables_tuning,
)
from zoo.compare.report.formats import keys_and_values
from zoo.compare.report.methods import methods
from zoo.compare.report.panels import Panels
from zoo.compare.report.plan_words import plan_facts
from zoo.compare.report.style import SHAPES, look
from zoo.compare.report.title import title
from zoo.compare.report.verdict_table import verdict_table
from zoo.compare.report.why_words import whys
from zoo.html.document import bdi, policy, script, style, templates, text_of

HERE = "zoo.compare.report"


def page(record: Record, curves: Curves) -> str:
    """The report as HTML.

    Args:
        record: of the comparison.
        curves: of its runs, by their addresses.
    """
    import plotly.offline

    panels = Panels(record, curves)
    scripts = plotly.offline.get_plotlyjs(), script(), text_of(HERE, "page.js")
    environment = templates(HERE)
    environment.globals |= {
        "tables": tables,
        "arms": tables_arms,
        "across": tables_across,
        "runs": tables_runs,
        "tuning": tables_tuning,
        "plans": plan_words,
        "sentences": sentences,
        "shapes": SHAPES,
    }
    return environment.get_template("page.html.j2").render(
        record=record,
        plain=record.plain(),
        panels=panels,
        looks=[look(i) for i in range(len(panels.arms))],
        title=title(record),
        subtitle=subtitle(record),
        verdicts=verdict_table(record),
        whys=whys(record),
        methods=methods(record),
        facts=provenance(record),
        ended=sum(run.ended for run in record.cells),
        length=LENGTH,
        policy=policy(*scripts),
        style=Markup(style() + text_of(HERE, "page.css")),
        scripts=[Markup(each) for each in scripts],
    )  # fmt: skip


def subtitle(record: Record) -> str:
    """The name of the declaration and the number of arms, places, pairs and runs."""
    declared = record.declared
    pairs, runs = len(declared.pairs), len(record.cells)
    counts = [(len(declared.arms), "arm"), (len(record.places), "place"), (pairs, "pair"),
              (runs, "run")]  # fmt: skip
    return f"{record.name}: " + ", ".join(
        f"{n} {word}{'' if n == 1 else 's'}" for n, word in counts
    )


def provenance(record: Record) -> Sequence[tuple[str, Any]]:
    """Names and values: software, machines, data and what the comparison declared."""
    ran_on: list[tuple[str, Any]] = []
    for environment in record.environments:
        ran_on += [
            ("software", keys_and_values(environment.versions)),
            ("machine", keys_and_values(environment.machine)),
        ]
    for task, runs in grouped(record.cells, lambda run: run.task):
        digests = " ".join(dict.fromkeys(run.data_digest for run in runs if run.data_digest))
        ran_on.append((f"data of {task}", tables_runs.Code(digests or "not known")))
    declared = record.declared
    arms = [bdi(arm) + f" ({keys_and_values(values)})" for arm, values in declared.arms.items()]
    return [
        *(
            (name, tables_runs.Code(text) if name == "plan" else text)
            for name, text in plan_facts(record)
        ),
        *ran_on,
        *((f"command of {task}", tables_runs.Code(c)) for task, c in declared.scripts.items()),
        ("arms", Markup("; ").join(arms)),
        ("pairs", ", ".join(map(str, declared.pairs))),
        ("smallest effect that matters", keys_and_values(declared.effects)),
        ("score that counts as 1", keys_and_values(declared.references)),
        ("time of all runs", duration(sum(row.seconds or 0 for row in record.cells))),
    ]
