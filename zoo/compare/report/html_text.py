"""The written parts of the page: verdicts, warnings, and where all came from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from zoo.compare.analysis.aggregate import Row, grouped
from zoo.compare.analysis.record import WAITING
from zoo.compare.analysis.verdict import CLAIM, DIRECTION
from zoo.compare.execution.progress import duration
from zoo.compare.report import tables as md
from zoo.compare.report.html import Html, details, items, join, name, table, tag

DIGESTS = {
    "data_digest": "data",
    "branch_digest": "branches as drawn",
    "start_digest": "branches at the start",
    "order_digest": "batches",
}


def verdicts(record: Row) -> Html:
    """One card for each family, one sentence in it for each contrast."""
    cards = []
    statements = [{"family": s.family, "it": s} for s in md.statements(record)]
    for family, own in grouped(statements, "family"):
        told = [tag("p", sentence(entry["it"])) for entry in own]
        cards.append(tag("article", join([tag("h3", name(family)), *told]), class_="card"))
    return join(cards) or tag("p", "There is nothing to compare.")


def sentence(statement: md.Statement) -> Html:
    """A statement in one sentence, with its verdicts in bold."""
    arms = tag("em", join([name(statement.arm), " against ", name(statement.baseline)]))
    parts = [
        join([name(where), ": ", tag("strong", name(found)), gap])
        for where, found, gap in statement.parts
    ]
    return join([arms, ": ", join(parts, "; "), "."])


def warned(record: Row) -> Html:
    """What a reader must know before the verdicts are believed."""
    contrasts = [c for place in record["places"] for c in place["contrasts"]]
    counts = [c["pairs"] for c in contrasts]
    fewest, pairs = min(counts, default=0), max(counts, default=0)
    lost = sum(row["status"] == "failed" for row in record["cells"])
    waiting = sum(row["status"] == WAITING for row in record["cells"])
    enough = max((c["needed"] for c in contrasts), default=CLAIM)
    diverged = sum(row["status"] == "diverged" for row in record["cells"])
    blocked = sum(c["verdict"].startswith("blocked") for c in contrasts)
    found = []
    few = f"{pairs} {'pair' if pairs == 1 else 'pairs'}"
    if pairs <= DIRECTION:
        found.append(f"Direction only: {few}. So few runs show which way a difference "
                     f"points, not whether it is real; a verdict needs {enough}.")  # fmt: skip
    elif pairs < enough:
        found.append(f"Intervals, few verdicts: {few}; a verdict at the deepest place needs "
                     f"{enough}.")  # fmt: skip
    elif fewest < enough:
        short = sum(c["pairs"] < c["needed"] for c in contrasts)
        found.append(f"{short} of {len(counts)} gaps have fewer pairs than a verdict needs.")
    if record["declared"]["null"]:
        found.append("A null comparison: both arms are the same rule under other seeds, so every "
                     "verdict of a difference would be false.")  # fmt: skip
    if waiting:
        found.append(f"{waiting} of {len(record['cells'])} runs have not run yet.")
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
        join(["At ", name(place["title"]), ": ", text, "."])
        for place in record["places"]
        for text in place["warnings"]
    ]
    title = f"Arms that are not matched within 2 %, or are the same ({len(warnings)} warnings)"
    unequal = details(title, items(warnings)) if len(warnings) > 3 else items(warnings)
    return join([items(md.caveats(record)), unequal if warnings else ""])


def provenance(record: Row) -> Html:
    """Machine, versions, digests and commands."""
    cells = record["cells"]
    facts: list[list[object]] = []
    for ran in record["environments"]:
        facts += [["software", said(ran["versions"])], ["machine", said(ran["machine"])]]
    for task, own in grouped(cells, "task"):
        digests = dict.fromkeys(c["data_digest"] for c in own if c.get("data_digest"))
        facts.append([f"data of {task}", tag("code", " ".join(digests) or "not known")])
    declared = record["declared"]
    facts += [
        [
            "arms",
            join((join([name(arm), f" ({said(v)})"]) for arm, v in declared["arms"].items()), "; "),
        ],
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
        tag("dl", join(join([tag("dt", key), tag("dd", name(value))]) for key, value in facts)),
        details(f"The command of each of the {len(cells)} runs", commands(cells)),
        details("The digests of each run", digests_of(cells)),
    ])  # fmt: skip


def said(values: Row) -> str:
    """Keys and values in a row."""
    told = (f"{key} {'none' if value == [] else value}" for key, value in values.items())
    return ", ".join(told) or "not recorded"


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
    caption = (
        "Addresses and the first 16 digits of digests: equal in a pair, or the verdict is blocked"
    )
    return table(caption, head, rows)
