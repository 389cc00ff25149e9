"""The report as one page that needs nothing else: no network, no other file.

Every text is escaped; `bdi` sets one from a user apart, so that its direction of writing leaves its
neighbours alone. Charts are JSON that the page's own script hands to Plotly. A policy in the page
forbids every request, and every script but the two that are in it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from zoo.compare.analysis.aggregate import grouped
from zoo.compare.analysis.curves import Curves
from zoo.compare.analysis.mixing import LENGTH
from zoo.compare.analysis.record import Record
from zoo.compare.execution.progress import duration
from zoo.compare.report import tables, tables_runs, words
from zoo.compare.report.panels import Panels
from zoo.compare.report.style import DARK, LIGHT, SHAPES, look, visible

if TYPE_CHECKING:
    from jinja2 import Environment


def page(record: Record, curves: Curves) -> str:
    """The report.

    Args:
        record: of the comparison.
        curves: of its runs, by their address.
    """
    import plotly.offline

    panels = Panels(record, curves)
    plotly_js, script = plotly.offline.get_plotlyjs(), part("page.js")
    return environment().get_template("page.html.j2").render(
        record=record,
        plain=record.plain(),
        panels=panels,
        looks=[look(i) for i in range(len(panels.arms))],
        subtitle=subtitle(record),
        facts=facts(record),
        ended=sum(run.ended for run in record.cells),
        length=LENGTH,
        policy=policy(plotly_js, script),
        style=Markup(palette() + part("page.css")),
        plotly=Markup(plotly_js),
        script=Markup(script),
    )  # fmt: skip


def environment() -> Environment:
    """The templates beside this module, and what they may call."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    found = Environment(
        loader=PackageLoader("zoo.compare.report", ""),
        autoescape=True,
        finalize=lambda value: value if isinstance(value, Markup) else visible(value),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    found.filters |= {"bdi": bdi}
    found.globals |= {"tables": tables, "runs": tables_runs, "words": words, "shapes": SHAPES}
    return found


def bdi(text: object) -> Markup:
    """A text that is set apart from its neighbours.

    >>> bdi("<b>")
    Markup('<bdi>&lt;b&gt;</bdi>')
    """
    return Markup("<bdi>{}</bdi>").format(text if isinstance(text, Markup) else visible(text))


def part(file: str) -> str:
    """A file that comes with this module."""
    return files("zoo.compare.report").joinpath(file).read_text(encoding="utf-8")


def policy(*scripts: str) -> str:
    """Forbids every request and every script but these."""
    digests = (base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts)
    own = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {own}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def palette() -> str:
    """The colours of arms in both schemes."""
    schemes = {":root": LIGHT, ':root[data-scheme="dark"]': DARK}
    return "".join(
        f"{selector}{{{''.join(f'--arm{i}:{c};' for i, c in enumerate(colors))}}}\n"
        for selector, colors in schemes.items()
    )


def subtitle(record: Record) -> str:
    """What was compared, in a line."""
    declared = record.declared
    pairs, runs = len(declared.pairs), len(record.cells)
    counts = [(len(declared.arms), "arm"), (len(record.places), "place"), (pairs, "pair"),
              (runs, "run")]  # fmt: skip
    return ", ".join(f"{n} {word}{'' if n == 1 else 's'}" for n, word in counts)


def facts(record: Record) -> Sequence[tuple[str, Any]]:
    """Names and values of what the comparison ran on and what it declared."""
    found: list[tuple[str, Any]] = []
    for ran in record.environments:
        found += [
            ("software", words.said(ran.versions)),
            ("machine", words.said(ran.machine)),
        ]
    for task, own in grouped(record.cells, lambda run: run.task):
        read = " ".join(dict.fromkeys(c.data_digest for c in own if c.data_digest))
        found.append((f"data of {task}", tables_runs.Code(read or "not known")))
    declared = record.declared
    arms = [bdi(arm) + f" ({words.said(values)})" for arm, values in declared.arms.items()]
    return [
        *found,
        ("arms", Markup("; ").join(arms)),
        ("pairs", ", ".join(map(str, declared.pairs))),
        ("smallest effect that matters", words.said(declared.effects)),
        ("score that counts as 1", words.said(declared.references)),
        ("time of all runs", duration(sum(row.seconds or 0 for row in record.cells))),
    ]
