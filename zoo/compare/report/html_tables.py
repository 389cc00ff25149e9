"""The tables of the page."""

from __future__ import annotations

from zoo.compare.analysis.aggregate import Row
from zoo.compare.report import tables as md
from zoo.compare.report.html import Html, details, join, table, tag
from zoo.run_folder import ENDED

LEVEL = "The growth of a gap with depth needs two depths, neither of them blocked."


def gaps(record: Row) -> Html:
    """Every contrast in numbers."""
    return table("Every arm against its baseline at every place", *md.gap_rows(record))


def arms(record: Row) -> Html:
    """The scores of every arm in numbers."""
    rows = [
        [place["title"], a["arm"], a["launched"], a["done"], a["diverged"], a["failed"],
         a["waiting"], md.number(a["mean"], 4), md.number(a["sd"]), md.number(a["train"], 4),
         md.number(place.get("chance")), error_of(place, a)]
        for place in record["places"] for a in place["arms"]
    ]  # fmt: skip
    head = ("place", "arm", "launched", "done", "diverged", "failed", "waiting", "test mean", "sd",
            "training mean", "chance", "test examples (sd by their choice)")  # fmt: skip
    return details("Scores of every arm", table("Scores of every arm at every place", head, rows))


def error_of(place: Row, arm: Row) -> str:
    """The examples of the test part, and how far their choice alone moves an accuracy."""
    count, mean = arm["examples"], arm["mean"]
    if not count or mean is None or place["metric"] != "test/accuracy":
        return f"{count:,}" if count else ""
    return f"{count:,} ({md.number((mean * (1 - mean) / count) ** 0.5)})"


def tests(record: Row) -> Html:
    """What else is computed of the differences."""
    rows = [
        [place["title"], c["arm"], c["baseline"], md.interval(c.get("better")), md.number(c["p"]),
         md.number(c["holm_p"]), md.number(c.get("equivalence_p")), c.get("pairs_needed") or "",
         "yes" if c.get("exact_only") else "no", ", ".join(map(str, c["seeds"]))]
        for place in record["places"] for c in place["contrasts"]
    ]  # fmt: skip
    head = ("place", "arm", "baseline", "rate of pairs in which the arm is better", "p (exact)",
            "p (Holm)", "p (equivalence)", "pairs needed", "exact test only", "pairs")  # fmt: skip
    return details("Further statistics", table("Further statistics of the gaps", head, rows))


def secondary(record: Row) -> Html:
    """The same runs judged in another way."""
    caption = "Secondary: the same runs judged in another way"
    return details("Secondary analyses", table(caption, *md.secondary_rows(record)))


def growth(record: Row) -> Html:
    """The primary hypothesis, and the mean over tasks."""
    rows = [
        [s["family"], s["arm"], s["baseline"], ", ".join(map(str, s["depths"])),
         md.interval(s["slope"]), md.number(s["holm_p"]), s["verdict"],
         ", ".join(md.number(e) for e in s["each"])]
        for s in record["slopes"]
    ]  # fmt: skip
    head = ("family", "arm", "baseline", "depths", "a doubling of depth adds (95 % interval)",
            "p (Holm)", "verdict", "every pair")  # fmt: skip
    title = "How gaps grow with depth: the primary hypothesis"
    slopes = table(title, head, rows) if rows else tag("p", LEVEL)
    means = [
        [f["arm"], f["baseline"], ", ".join(f["tasks"]), md.number(f["iqm"]),
         md.number(f["baseline_iqm"]), md.interval(f["gap"]),
         md.omitted(f)]
        for f in record["overall"]
    ]  # fmt: skip
    title = "Interquartile means over tasks at their deepest (chance is 0, the reference is 1)"
    columns = (
        "arm",
        "baseline",
        "tasks",
        "arm's mean",
        "baseline's mean",
        "gap (95 % by bootstrap)",
        "one task left out",
    )
    return join([slopes, table(title, columns, means) if means else ""])


def failures(record: Row) -> Html:
    """Runs that diverged or failed, with rates."""
    rows = [
        [
            c["place"],
            c["arm"],
            c["pair"],
            c["status"],
            md.why(c),
            c["id"],
        ]
        for c in record["cells"]
        if c["status"] in ("failed", "diverged")
    ]
    if not rows:
        ended = sum(c["status"] in ENDED for c in record["cells"])
        none = tag("p", f"None: {ended} of {len(record['cells'])} runs came to their end.")
        return join([none, events(record)])
    head = ("place", "arm", "pair", "what", "why", "address")
    rates = [
        [place["title"], a["arm"], a["diverged"], a["failed"], a["launched"],
         md.interval(a["divergence"])]
        for place in record["places"] for a in place["arms"] if a["diverged"] or a["failed"]
    ]  # fmt: skip
    tops = ("place", "arm", "diverged", "failed", "launched", "rate of divergence (95 % interval)")
    mcnemar = [
        [p["title"], c["arm"], c["baseline"], *c["diverged"], md.number(c["mcnemar_p"])]
        for p in record["places"] for c in p["contrasts"] if any(c["diverged"])
    ]  # fmt: skip
    third = ("place", "arm", "baseline", "arm diverged", "baseline diverged", "p (McNemar)")
    return join([
        table("Runs without a score of their own", head, rows),
        table("Rates", tops, rates),
        table("Divergence by pair", third, mcnemar) if mcnemar else "",
        events(record),
    ])  # fmt: skip


def events(record: Row) -> Html:
    """Losses of ended runs that were far above the usual, and steps that were lost."""
    rows = md.event_rows(record)
    return table("Losses out of the usual", *rows) if rows[1] else join([])


def costs(record: Row) -> Html:
    """What every arm costs."""
    return table("What every arm costs at every place", *md.cost_rows(record))
