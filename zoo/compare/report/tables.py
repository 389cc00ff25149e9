"""The numbers of a record as people read them: the rows of its tables, its sentences."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from zoo.compare.analysis.aggregate import Row, families

SAME = "One set of hyperparameters for all arms; none was tuned for this comparison."
OTHER = "Arms set options beside the connection; they stand under the arms of the report."
CAVEATS = (
    "Every run is judged at its last step. Runs that diverged count as chance.",
    "These tasks are no sample of all tasks.",
)
OTHER_ENDS = ("diverged", "failed", "waiting")
GAPS = ["place", "metric", "arm", "baseline", "gap", "verdict", "training gap", "pairs"]
GAPS += ["p (* uncorrected)"]
SECONDARY = ["place", "arm", "baseline", "gap (primary)", "at the best step on validation"]
SECONDARY += ["without pairs that diverged"]
COSTS = ["place", "arm", "done", "not done", "parameters", "MFLOPs a step", "ms a step"]
COSTS += ["s a run", "MiB of the process"]
EVENTS = ["place", "arm", "pair", "events", "the first ones"]
FEW = 3  # events of a run that are told
LEAST = 5e-7  # what is nearer to zero is rounding


def number(value: float | None, digits: int = 3) -> str:
    """A number with some significant digits.

    >>> number(0.98765), number(-12.34), number(None)
    ('0.988', '-12.3', '')
    """
    if value is None or not math.isfinite(value):
        return ""
    if abs(value) < LEAST:
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


def viewed(contrast: Row, view: str) -> str:
    """A secondary gap, and the number of its pairs where it has not all of them."""
    found = contrast["secondary"][view]
    told = interval(found)
    few = found is not None and found["pairs"] < contrast["pairs"]
    return f"{told}, {found['pairs']} of {contrast['pairs']} pairs" if few else told


def omitted(found: Row) -> str:
    """The least and the largest gap of an average over tasks when one of them is left out."""
    ranked = sorted(found["without"].items(), key=lambda item: item[1])
    ends = [f"{number(gap)} without {task}" for task, gap in (*ranked[:1], *ranked[1:][-1:])]
    return " to ".join(ends)


def caveats(record: Row) -> list[str]:
    """What holds for every comparison."""
    keys = {key.partition(".")[0] for arm in record["declared"]["arms"].values() for key in arm}
    return [SAME if keys <= {"connection", "long"} else OTHER, *CAVEATS]


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
                    c["verdict"],
                    viewed(c, "training"),
                    f"{c['pairs']}",
                    number(c["holm_p"]) + ("*" if c["exploratory"] else ""),
                ]
            )
    return GAPS, rows


def secondary_rows(record: Row) -> Rows:
    """Gaps that are judged in another way."""
    rows = [
        [place["title"], c["arm"], c["baseline"], interval(c.get("gap")),
         *(viewed(c, view) for view in ("best_on_validation", "finished_only"))]
        for place in record["places"] for c in place["contrasts"]
    ]  # fmt: skip
    return SECONDARY, rows


def cost_rows(record: Row) -> Rows:
    """What every arm costs at every place."""
    rows = [
        [
            place["title"],
            arm["arm"],
            f"{arm['done']} of {arm['launched']}",
            ", ".join(f"{arm[end]} {end}" for end in OTHER_ENDS if arm[end]) or "none",
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


def event_rows(record: Row) -> Rows:
    """Losses of runs that were far above the usual, and the steps that they lost."""
    rows = [
        [
            cell["place"],
            cell["arm"],
            cell["pair"],
            len(found),
            "; ".join(map(event_words, found[:FEW])),
        ]
        for cell in record["cells"]
        if (found := cell.get("events"))
    ]
    return EVENTS, rows


def why(cell: Row) -> str:
    """Why a run has no score of its own."""
    chance = ["counts as chance"] if cell["status"] == "diverged" else []
    return "; ".join(filter(None, [*chance, cell.get("reason")]))


def event_words(event: Row) -> str:
    """An event of a run in a few words.

    >>> event_words({"step": 7, "kind": "spike", "value": 12.0, "median": 0.5})
    'step 7: a loss of 12.0, usual are 0.500'
    >>> event_words({"step": 7, "kind": "skip", "value": None})
    'step 7: not finite, left out'
    """
    if event["kind"] == "spike":
        words = f"a loss of {number(event['value'])}, usual are {number(event['median'])}"
    elif event["kind"] == "rollback":
        words = f"not finite, back to step {event['to']}"
    else:
        words = "not finite, left out"
    return f"step {event['step']}: {words}"
