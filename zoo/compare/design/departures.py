"""What of another plan departs from one that is locked, and what changes it without a departure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zoo.compare.analysis.foreseen import Look
from zoo.compare.analysis.signs import TESTS
from zoo.compare.analysis.verdict import needed
from zoo.compare.design.axes import Values
from zoo.errors import listed

NAMED = {
    "arms": "arms",
    "baselines": "baselines",
    "effects": "smallest effects",
    "references": "references",
    "metric": "the metric",
    "code": "the code",
    "null": "what is compared with what",
    "tuned": "what is tuned",
    "tune_seeds": "the seeds of tuning",
    "grid": "the grid of tuning",
    "scripts": "the command",
}  # parts of a plan that may not change, as people call them
LISTED = 10  # names in a sentence
Plan = Mapping[str, Any]  # what one settles, as JSON has it


def departures(known: Plan, asked: Plan, looks: Sequence[Look]) -> dict[str, str]:
    """A sentence on each part of a plan in which another one departs from it, by its name.

    A part that an earlier version did not write into its plans is not known, and so no departure,
    but for the statistics: what was seen by others may have been chosen by them.

    Args:
        known: the plan that is locked.
        asked: the other one.
        looks: at results so far.
    """
    changed = [words for key, words in NAMED.items() if differ(key, known, asked)]
    found = {words: f"{words} changed after the first run" for words in changed}
    recipes, others = known.get("recipes", {}), asked.get("recipes", {})
    if other := [arm for arm in recipes if others.get(arm, recipes[arm]) != recipes[arm]]:
        words = f"options of runs changed after the first run: {row(other)}"
        found["options of runs"] = words
    shared = [place for place in known["places"] if place in asked["places"]]
    varied = [[p for p in shared if p in it.get("varied", shared)] for it in (known, asked)]
    if "varied" in known and varied[0] != varied[1]:
        words = "whether pairs have data of their own"
        found[words] = f"{words} changed after the first run"
    if looks and test_of(known) != test_of(asked):
        found["the stopping rule"] = "the stopping rule changed after the first run"
    if looks and "statistics" not in known:
        found["the statistics"] = "the statistics of then are not known"
    elif looks and differ("statistics", known, asked):
        found["the statistics"] = "the statistics changed after results were seen"
    found |= other_members("places", known, asked)
    if not pairs_may_change(known, asked, looks):
        found |= other_members("pairs", known, asked)
    return found


def pairs_may_change(known: Plan, asked: Plan, looks: Sequence[Look]) -> bool:
    """Whether other pairs are no departure.

    Before the first look nothing can have guided the choice. After looks of which none could claim,
    one step is no choice: from fewer pairs than a verdict needs to exactly as many. Who may choose
    among 8 to 60 pairs by the first 3 of them errs in 6.1 % of comparisons of one hypothesis, and
    by the first 7 in 7.7 %, since each number has a p of its own. Where p hold at every look
    (`pairs=auto`), any number will do.

    Args:
        known: the plan that is locked.
        asked: the other one.
        looks: at results so far.
    """
    if not looks or "auto" in (test_of(known), test_of(asked)):  # another rule departs by itself
        return True
    before, after = known["pairs"], asked["pairs"]
    enough = needed(len(known["hypotheses"]))
    more = {*before} < {*after} and len(before) < enough == len(after)
    return more and not any(look.claims for look in looks)


def changes(known: Plan, asked: Plan, looks: Sequence[Look]) -> tuple[Values, str]:
    """The parts of a plan that another one changes without a departure, and that in words.

    Args:
        known: the plan that is locked.
        asked: the other one.
        looks: at results so far.
    """
    parts: Values = {}
    words: list[str] = []
    same = test_of(known) == test_of(asked)
    free = pairs_may_change(known, asked, looks) if same else not looks
    if known["pairs"] != asked["pairs"] and free:
        parts["pairs"] = list(asked["pairs"])
        words.append(f"{len(known['pairs'])} pairs became {len(asked['pairs'])}")
    if not looks and not same:
        parts |= {"test": test_of(asked), "stopping": asked["stopping"]}
        words.append("the stopping rule changed before results were seen")
    if not looks and known.get("statistics") != asked["statistics"]:
        parts["statistics"] = asked["statistics"]
        words.append("the statistics changed before results were seen")
    return parts, ", ".join(words)


def differ(key: str, known: Plan, asked: Plan) -> bool:
    """Whether a part of a plan is another one; False where it is not known."""
    return key in known and known[key] != asked.get(key)


def test_of(plan: Plan) -> str:
    """The test of a plan, a key of `TESTS`; the first version had one alone."""
    test = plan.get("test")
    return test if test in TESTS else "fixed"


def other_members(key: str, known: Plan, asked: Plan) -> dict[str, str]:
    """Sentences on what another plan leaves out of a list and adds to it, by their names."""
    less = [x for x in known[key] if x not in asked[key]]
    more = [x for x in asked[key] if x not in known[key]]
    said = {
        f"{key} left out": less and f"{key} that the plan has were left out: {row(less)}",
        f"{key} added": more and f"{key} were added after results were seen: {row(more)}",
    }
    return {name: words for name, words in said.items() if words}


def row(values: Sequence[Any]) -> str:
    """The first of some values in a row."""
    return listed(values, LISTED)
