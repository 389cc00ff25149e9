"""The page of a diagnosis, for someone who has never heard of a probe."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from zoo.diagnosis.finding import CAUSES, Finding
from zoo.diagnosis.pictures import svg
from zoo.diagnosis.profiles import Profile
from zoo.html.document import policy, script, style, templates, text_of

if TYPE_CHECKING:
    from zoo.diagnosis.diagnose import Diagnosis

HERE = "zoo.diagnosis"


@dataclass(frozen=True)
class Trial:
    """A comparison that tests a cure in pairs.

    Args:
        command: that runs it.
        causes: of the findings whose cure it tests.
        verdicts: a row for each place and arm: arms, verdict, gap, pairs, place; none before it
            has run.
        report: path of its report, as seen from the page.
    """

    command: str
    causes: Sequence[str]
    verdicts: Sequence[Sequence[str]] = ()
    report: str = ""


def html(
    found: Diagnosis,
    title: str = "",
    facts: Mapping[str, str] | None = None,
    trials: Sequence[Trial] = (),
) -> str:
    """The page of a diagnosis as HTML.

    Args:
        found: the diagnosis.
        title: what was diagnosed; empty: the class of the net.
        facts: what else the reader should know, by name.
        trials: comparisons that test cures.
    """
    marked = {finding.where for finding in found.findings} - {""}
    scripts = [script()]
    return templates(HERE).get_template("page.html.j2").render(
        title=title or found.net,
        findings=[(finding, number(finding)) for finding in found.findings],
        causes=CAUSES,
        checked=found.checked,
        facts=dict(facts or {}),
        trials=trials,
        heads=("arms", "verdict", "gap", "pairs", "place"),
        profiles=[
            (name, each, svg(each, name, marked), marked & {*each.places}, rows(each))
            for name, each in found.profiles.items()
        ],
        policy=policy(*scripts),
        style=Markup(style() + text_of(HERE, "page.css")),
        scripts=[Markup(each) for each in scripts],
    )  # fmt: skip


def number(finding: Finding) -> str:
    """The number that shows a finding, beside what it should not pass."""
    value = finding.plain()["value"]
    said = "not finite" if value is None else f"{value:.4g}"
    return f"{said}, where the limit is {finding.limit:.4g}"


def rows(profile: Profile) -> list[list[str]]:
    """The numbers of a picture: a row for each depth."""
    lines = list(profile.lines.values())
    return [
        [str(i), place, *(shown(line[i]) if i < len(line) else "" for line in lines)]
        for i, place in enumerate(profile.places)
    ]


def shown(value: float) -> str:
    """A number with three digits; empty where it is not known."""
    return "" if math.isnan(value) else f"{value:.3g}"
