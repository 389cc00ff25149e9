"""The written parts of the page: verdicts, warnings, tables, failures and where all came from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from zoo.compare import table as md
from zoo.compare.across import Row, grouped
from zoo.compare.html import Html, details, items, join, name, table, tag
from zoo.compare.progress import duration
from zoo.compare.verdict import CLAIM, DIRECTION

DIGESTS = {"data_digest": "data", "branch_digest": "branches", "order_digest": "batches"}


def verdicts(record: Row) -> Html:
    """One card for each family, one sentence in it for each contrast."""
    cards = []
    statements = [{"family": s.family, "it": s} for s in md.statements(record)]
    for family, own in grouped(statements, "family"):
        told = [
            tag("p", join([tag("strong", join([name(s.arm), " against ", name(s.baseline), ": "])),
                           "; ".join(s.parts), "."]))
            for s in (entry["it"] for entry in own)
        ]  # fmt: skip
        cards.append(tag("article", join([tag("h3", name(family)), *told]), class_="card"))
    return join(cards) or tag("p", "There is nothing to compare.")


def warned(record: Row) -> Html:
    """What a reader must know before the verdicts are believed."""
    contrasts = [c for place in record["places"] for c in place["contrasts"]]
    pairs = min((c["pairs"] for c in contrasts), default=0)
    lost = sum(row["status"] == "failed" for row in record["cells"])
    diverged = sum(row["status"] == "diverged" for row in record["cells"])
    blocked = sum(c["verdict"].startswith("blocked") for c in contrasts)
    found = []
    most = max((c["pairs"] for c in contrasts), default=0)
    few = f"{'as few as ' if most > pairs else ''}{pairs} {'pair' if pairs == 1 else 'pairs'}"
    if pairs <= DIRECTION:
        found.append(f"Direction only: {few}. So few runs show which way a difference "
                     f"points, not whether it is real; a verdict needs {CLAIM} pairs.")  # fmt: skip
    elif pairs < CLAIM:
        found.append(f"Intervals, no verdicts: {few}; a verdict needs {CLAIM} pairs.")
    if record["declared"]["null"]:
        found.append("A null comparison: both arms are the same rule under other seeds, so every "
                     "verdict of a difference would be false.")  # fmt: skip
    if lost:
        found.append(f"{lost} of {len(record['cells'])} runs failed and are missing below.")
    if blocked:
        found.append(f"{blocked} of {len(contrasts)} verdicts are blocked; they say why.")
    if diverged:
        found.append(f"{diverged} runs diverged. They count as chance, and the exact test "
                     "decides where there are some.")  # fmt: skip
    if not found:
        return Html()
    label = {"role": "note", "aria_label": "Warning"}
    return tag("div", join(tag("p", text) for text in found), class_="banner", **label)


def caveats(record: Row) -> Html:
    """Warnings of unequal arms and what holds for every comparison."""
    warnings = [
        join(["Unequal arms at ", name(place["title"]), ": ", text, "."])
        for place in record["places"]
        for text in place["warnings"]
    ]
    return items([*warnings, *md.CAVEATS])


def gaps(record: Row) -> Html:
    """Every contrast in numbers."""
    return table("Every arm against its baseline at every place", *md.gap_rows(record))


def arms(record: Row) -> Html:
    """The scores of every arm in numbers."""
    rows = [
        [place["title"], a["arm"], a["launched"], a["done"], a["diverged"], a["failed"],
         md.number(a["mean"], 4), md.number(a["sd"]), md.number(a["train"], 4),
         md.number(place.get("chance"))]
        for place in record["places"] for a in place["arms"]
    ]  # fmt: skip
    head = ("place", "arm", "launched", "done", "diverged", "failed", "test mean", "sd",
            "training mean", "chance")  # fmt: skip
    return details("Scores of every arm", table("Scores of every arm at every place", head, rows))


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


def growth(record: Row) -> Html:
    """The primary hypothesis, and the mean over tasks."""
    rows = [
        [s["family"], s["arm"], s["baseline"], ", ".join(map(str, s["depths"])),
         md.interval(s["slope"]), ", ".join(md.number(e) for e in s["each"]),
         md.number(s["holm_p"]), s["verdict"]]
        for s in record["slopes"]
    ]  # fmt: skip
    head = ("family", "arm", "baseline", "depths", "a doubling of depth adds (95 % interval)",
            "every pair", "p (Holm)", "verdict")  # fmt: skip
    title = "How gaps grow with depth: the primary hypothesis"
    slopes = table(title, head, rows) if rows else tag("p", "No family has two depths.")
    means = [
        [f["arm"], f["baseline"], ", ".join(f["tasks"]), md.number(f["iqm"]),
         md.number(f["baseline_iqm"]), md.interval(f["gap"])]
        for f in record["overall"]
    ]  # fmt: skip
    head = ("arm", "baseline", "tasks", "arm's mean", "baseline's mean", "gap (95 % interval)")
    title = "Interquartile means over tasks at their deepest (chance is 0, the reference is 1)"
    return join([slopes, table(title, head, means) if means else ""])


def failures(record: Row) -> Html:
    """Runs that diverged or failed, with rates."""
    rows = [
        [c["place"], c["arm"], c["pair"], c["status"], c.get("reason") or "counts as chance", c["id"]]
        for c in record["cells"]
        if c["status"] in ("failed", "diverged")
    ]
    if not rows:
        return tag("p", f"None: all {len(record['cells'])} runs came to their end.")
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
    ])  # fmt: skip


def costs(record: Row) -> Html:
    """What every arm costs."""
    return table("What every arm costs at every place", *md.cost_rows(record))


def provenance(record: Row) -> Html:
    """Machine, versions, digests and commands."""
    cells = record["cells"]
    facts = [["software", said(record["versions"])], ["machine", said(record["machine"])]]
    for task, own in grouped(cells, "task"):
        digests = dict.fromkeys(c["data_digest"] for c in own if c.get("data_digest"))
        facts.append([f"data of {task}", tag("code", " ".join(digests) or "not known")])
    declared = record["declared"]
    facts += [
        ["arms", join((join([name(arm), " (", said(v), ")"]) for arm, v in declared["arms"].items()), "; ")],
        ["pairs", ", ".join(map(str, declared["pairs"]))],
        ["smallest effect that matters", said(declared["effects"])],
        ["score that counts as 1", said(declared["references"])],
        ["time of all runs", duration(sum(row.get("seconds") or 0 for row in cells))],
    ]
    return join([
        tag("p", "The whole comparison; finished runs are not run again:"),
        command("whole", record["command"]),
        tag("p", join(["The reports alone, from the runs in its folder: ",
                       tag("code", "python -m zoo report FOLDER"), "."])),
        table("Where these numbers come from", ("what", "value"), facts),
        details(f"The command of each of the {len(cells)} runs", commands(cells)),
        details("The digests of each run", digests_of(cells)),
    ])  # fmt: skip


def said(values: Row) -> str:
    """Keys and values in a row."""
    return ", ".join(f"{key} {value}" for key, value in values.items()) or "not recorded"


def command(key: str, text: object) -> Html:
    """A command that can be copied."""
    button = tag("button", "Copy", type="button", class_="copy", data_copy=key)
    return tag("div", join([tag("code", text, id=key), button]), class_="command")


def commands(cells: Sequence[Row]) -> Html:
    """What repeats each run."""
    head = ("place", "arm", "pair", "seed", "status", "score", "training", "command")
    rows: Iterable[Sequence[object]] = (
        [c["place"], c["arm"], c["pair"], c["seed"], c["status"], md.number(c.get("value"), 5),
         md.number(c.get("train"), 5), command(f"cell{i}", c["command"])]
        for i, c in enumerate(cells)
    )  # fmt: skip
    return table("Runs and their commands", head, rows)


def digests_of(cells: Sequence[Row]) -> Html:
    """What proves that the arms of a pair met the same branches, batches and data."""
    head = ("place", "arm", "pair", "address", *DIGESTS.values())
    rows = (
        [c["place"], c["arm"], c["pair"], tag("code", c["id"]),
         *(tag("code", (c.get(key) or "")[:16]) for key in DIGESTS)]
        for c in cells
    )  # fmt: skip
    caption = "Addresses and the first 16 digits of digests: equal in a pair, or the verdict is blocked"
    return table(caption, head, rows)
