"""The tables of the gaps of a record, for the page, Markdown and the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from zoo.compare.analysis.aggregate import contrasts_of
from zoo.compare.analysis.record import Record
from zoo.compare.analysis.signs import anytime_p, fixed_p, least_p
from zoo.compare.analysis.slopes import Slope
from zoo.compare.analysis.summaries import ArmSummary, Contrast, PlaceSummary
from zoo.compare.analysis.verdict import DIRECTION
from zoo.compare.report.formats import interval, measure_label, number, probability, secondary_gap


@dataclass(frozen=True)
class Table:
    """A table.

    Args:
        title: above it.
        head: names of its columns, separated by `|`.
        rows: cells of each row, texts or numbers, as many as columns.
    """

    title: str
    head: str
    rows: Sequence[Sequence[Any]] = field(default_factory=list)

    @property
    def columns(self) -> list[str]:
        """The names of its columns."""
        return self.head.split("|")


def arms_at_places(record: Record) -> Iterator[tuple[PlaceSummary, ArmSummary]]:
    """Every place with each of its arms."""
    return ((place, arm) for place in record.places for arm in place.arms)


def contrast_table(
    record: Record,
    title: str,
    head: str,
    cells: Callable[[Contrast], Sequence[Any]],
    shown: Callable[[Contrast], bool] = lambda contrast: True,
) -> Table:
    """A table with a row for every contrast, which begins with its place, arm and baseline.

    Args:
        record: of the comparison.
        title: of the table.
        head: names of the further columns, separated by `|`.
        cells: gives those columns of a contrast.
        shown: whether a contrast has a row.
    """
    rows = [
        [place.title, c.arm, c.baseline, *cells(c)]
        for place, c in contrasts_of(record.places)
        if shown(c)
    ]
    return Table(title, f"place|arm|baseline|{head}", rows)


def gaps(record: Record) -> Table:
    """The gap and the verdict of every contrast, and what its p may be."""
    means = {(p.title, a.arm): number(a.mean) for p, a in arms_at_places(record)}
    rows = [
        [p.title, measure_label(p.metric),
         f"{c.arm} {means[p.title, c.arm]}",
         f"{c.baseline} {means[p.title, c.baseline]}",
         interval(c.gap), c.verdict, c.pairs, number(c.delta), examples_of(p) or "",
         *p_values(c), secondary_gap(c, "training"), best_step(c), ", ".join(c.warnings)]
        for p, c in contrasts_of(record.places)
    ]  # fmt: skip
    head = (
        "place|metric|arm|baseline|gap|verdict|pairs|smallest effect|test examples|p|p (Holm)|"
        "p (ahead, Holm)|least p|training gap|at the best step|warnings"
    )
    return Table("Every arm against its baseline at every place", head, rows)


def known_p(c: Contrast, p: float) -> float | None:
    """A p of a contrast; None where its pairs tell no more than a direction."""
    return p if c.pairs > DIRECTION else None


def p_numbers(c: Contrast) -> tuple[float | None, float | None, float | None, float]:
    """The p of a contrast, the corrected one, that of "ahead", and the least of so many pairs.

    What so few pairs cannot tell is None, and so is a correction of what is not corrected.
    """
    corrected = not c.exploratory and c.pairs >= c.needed
    holm, ahead = (p if corrected else None for p in (c.holm_p, c.ahead_holm_p))
    return known_p(c, c.beyond_p), holm, ahead, least_p_of(c)


def p_values(c: Contrast) -> list[str]:
    """The numbers of `p_numbers` as text."""
    p, holm, ahead, least = p_numbers(c)
    return [probability(p), corrected_p(c, holm), corrected_p(c, ahead), probability(least)]


def corrected_p(claim: Contrast | Slope, p: float | None) -> str:
    """A corrected p as text; of what explores it is none."""
    return "exploratory" if claim.exploratory else probability(p)


def least_p_of(c: Contrast) -> float:
    """The least p that the pairs of a contrast can reach."""
    return least_p(c.pairs, anytime_p if c.anytime else fixed_p)


def best_step(c: Contrast) -> str:
    """The gap at the best step, with the verdict there if it is another one."""
    return ", ".join(filter(None, [secondary_gap(c, "best_on_validation"), c.at_best]))


def examples_of(place: PlaceSummary) -> int | None:
    """The number of test examples at a place; None where no run has ended."""
    return next((arm.examples for arm in place.arms if arm.examples), None)


def further(record: Record) -> Table:
    """Further statistics of every contrast."""
    head = (
        "mean gap|rate of pairs in which the arm is better|p (ahead at all)|p (equivalence)|"
        "p (equivalence, Holm)|failed to train|pairs"
    )
    return contrast_table(
        record,
        "Further statistics of the gaps",
        head,
        lambda c: [
            number(c.mean),
            interval(c.better),
            *(probability(known_p(c, p)) for p in (c.p, c.equivalence_p)),
            corrected_p(c, known_p(c, c.equivalence_holm_p)),
            c.failures,
            ", ".join(map(str, c.seeds)),
        ],
    )


def uncertainty(record: Record) -> Table:
    """Where the uncertainty of every mean gap comes from, where all outcomes are known."""

    def cells(c: Contrast) -> list[str]:
        assert c.sources is not None
        shares = (c.sources.pairs, c.sources.examples)
        return [interval(c.sources.gap), *map(share_words, shares)]

    return contrast_table(
        record,
        "Where the uncertainty comes from",
        "mean gap, for other pairs and test examples (95 %)|share of pairs|share of test examples",
        cells,
        lambda c: c.sources is not None,
    )


def share_words(share: float) -> str:
    """A share of a variance in words: from eight pairs it is known no better.

    >>> share_words(0.0), share_words(0.4), share_words(1.0)
    ('little', 'about half', 'most')
    """
    return "little" if share < 0.25 else "most" if share > 0.75 else "about half"


def secondary(record: Record) -> Table:
    """The gaps of every contrast by other measures."""
    names = ("best_on_validation", "finished_only")
    return contrast_table(
        record,
        "Secondary: the same runs judged in another way",
        "gap (primary)|at the best step on validation|without pairs that diverged",
        lambda c: [interval(c.gap), *(secondary_gap(c, name) for name in names)],
    )
