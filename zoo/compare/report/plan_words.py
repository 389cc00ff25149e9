"""The plan of a comparison in words, and what it means for the pairs."""

from __future__ import annotations

from collections.abc import Sequence

from zoo.compare.analysis.foreseen import Foreseen, Look
from zoo.compare.analysis.noise import NoiseFloor
from zoo.compare.analysis.record import Record
from zoo.compare.design.waves import power_words
from zoo.compare.report.formats import interval, number
from zoo.compare.report.tables import Table
from zoo.errors import listed

ENDS = 3  # looks that are shown, of the first and of the last


def plan_facts(record: Record) -> list[tuple[str, str]]:
    """Names and values of the plan that was locked before the first run; none without one."""
    plan, test = record.plan, record.declared.test
    if not plan:
        return []
    claims = [f"{place}: {arm} against {baseline}" for place, arm, baseline in plan.hypotheses]
    slopes = [f"{family}: {arm} against {baseline}" for family, arm, baseline in plan.slopes]
    facts = [
        ("plan", f"{plan.digest}, locked {plan.begun}, with its history {plan.head}"),
        ("ends", f"{plan.stopping}; {plan.pairs} pairs at most"),
        ("primary hypotheses", "; ".join(claims)),
        ("hypotheses on growth with depth", "; ".join(slopes)),
        ("grid of tuning", grid_words(plan)),
        ("power", power_words(plan.pairs, len(plan.hypotheses), test)),
        ("looks at the results", looks_words(plan.looks)),
        ("beside the plan", "; ".join(plan.notes)),
    ]
    return [(name, words) for name, words in facts if words]


def grid_words(plan: Foreseen) -> str:
    """What tuning tries, in words; empty where nothing is tuned."""
    if not plan.grid:
        return ""
    factors = listed(f"{factor:g}" for factor in plan.grid["factors"])
    return (
        f"{factors} times the configured value, up to {plan.grid['further']} steps of "
        f"{plan.grid['step']:g} beyond an end, on {plan.tune_seeds} "
        f"{'seed' if plan.tune_seeds == 1 else 'seeds'} each"
    )


def looks_words(looks: Sequence[Look]) -> str:
    """How many looks there were, with the first and the last ones.

    >>> looks_words([Look("noon", 3, False)]), looks_words([])
    ('1 (3 pairs on noon)', 'none')
    """
    texts = [f"{look.pairs} pairs on {look.time}" for look in looks]
    if len(texts) > 2 * ENDS:
        texts = [*texts[:ENDS], "…", *texts[-ENDS:]]
    return f"{len(looks)} ({', '.join(texts)})" if looks else "none"


def noise(record: Record) -> Table:
    """The noise at every place of a comparison of an arm with itself."""
    rows = [
        [f.place, f.pairs, interval(f.sd), number(f.delta), *(pairs_words(f, k) for k in (0, 1)),
         shares_words(f)]
        for f in record.noise
    ]  # fmt: skip
    head = (
        "place|pairs|sd of their differences (95 % interval)|smallest effect|"
        "pairs for a gap of twice the smallest effect|of three times|variance of a score"
    )
    return Table("Noise: an arm against itself, and the pairs for a power of 80 %", head, rows)


def shares_words(floor: NoiseFloor) -> str:
    """The shares in the variance of a run's score; empty where pairs have no data of their own."""
    if not floor.shares:
        return ""
    seed, data, examples = floor.shares.seed, floor.shares.data, floor.shares.examples
    parts = {"seed": seed, "data" if examples is not None else "data and test examples": data}
    parts |= {"test examples": examples} if examples is not None else {}
    return ", ".join(f"{name} {100 * share:.0f} %" for name, share in parts.items())


def pairs_words(floor: NoiseFloor, k: int) -> str:
    """The pairs that a gap needs, and those at the ends of the deviation's interval."""
    if not floor.needs:
        return ""
    at, low, high = (f"{n}" if n else "over 1000" for n in floor.needs[k])
    return f"{at} ({low} to {high})"
