"""The methods of a comparison as paragraphs for a paper, made from its record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from zoo.compare.analysis.aggregate import contrasts_of, families, grouped
from zoo.compare.analysis.record import Declared, Record
from zoo.compare.analysis.runs import WAITING
from zoo.compare.analysis.summaries import PlaceSummary
from zoo.compare.report.formats import keys_and_values, measure_label
from zoo.compare.report.methods_statistics import PAPERS, tested
from zoo.compare.report.methods_tuning import tuned
from zoo.compare.report.sentences import kinds_of_data
from zoo.compare.report.tables import examples_of
from zoo.compare.report.title import arms
from zoo.errors import listed


def methods(record: Record) -> list[str]:
    """The paragraphs of the methods: what was compared, how it was tested, where it ran."""
    texts = [
        " ".join([compared(record), *data(record)]),
        " ".join(planned(record)),
        " ".join(tuned(record)),
        probed(record),
        *tested(record),
        ran_on(record),
    ]
    cited = [paper for paper in PAPERS if any(paper in text for text in texts)]
    return [*filter(None, texts), *([f"References: {'. '.join(cited)}."] if cited else [])]


def compared(record: Record) -> str:
    """What was compared, by which metric."""
    declared, families_of = record.declared, families(record.places)
    options = ", ".join(f"{arm} ({keys_and_values(of)})" for arm, of in declared.arms.items())
    tasks = "; ".join(task_of(declared, name, places) for name, places in families_of)
    ended = sum(run.ended for run in record.cells)
    waiting = sum(run.status == WAITING for run in record.cells)
    lost = len(record.cells) - ended - waiting
    seeds = grouped([str(pair) for pair in declared.pairs], len)
    numbers = ", ".join(text for _, texts in seeds for text in texts)
    foreign = all(place.task in declared.scripts for place in record.places)
    blocked = any(c.verdict.startswith("blocked") for _, c in contrasts_of(record.places))
    same = "Both runs of a pair share their seed, their data and the order of their batches"
    same += ", but for gaps that are blocked." if blocked else ", by their digests."
    if declared.scripts:
        same = "Both runs of a pair share their seed. What else runs of a command share is unknown."
    if declared.null:
        same = "Both runs of a pair are the same rule under different seeds."
    judged = "" if foreign else " Every run was judged at its last step."
    known = any(place.chance is not None for place in record.places)
    at_chance = " A run that diverged or ended below chance counts as chance." if known else ""
    return (
        f"We compared {arms(declared)}. Arms: {options}. Each arm was trained once for each of "
        f"{len(declared.pairs)} pairs (seeds {numbers}) at each place: {tasks}. {same} Of "
        f"{len(record.cells)} runs {ended} ended, {lost} were lost and {waiting} have not run."
        f"{judged}{at_chance}"
    )


def task_of(declared: Declared, family: str, places: Sequence[PlaceSummary]) -> str:
    """A task with its depths, its metric, the size of its test part and the smallest effect."""
    deep = places[-1]
    depths = [f"{place.depth}" for place in places if place.depth is not None]
    parts = [f"depth {listed(depths)}"] if depths else []
    parts += [measure_label(deep.metric)] if deep.metric else []
    examples = examples_of(deep)
    parts += [f"{examples:,} test examples"] if examples else []
    effect = declared.effects.get(deep.task)
    parts += [f"smallest effect that matters {effect:g}" if effect else "no smallest effect stated"]
    return f"{family} ({', '.join(parts)})"


def data(record: Record) -> Iterator[str]:
    """Which places had data of their own for each pair, and of which kind."""
    kinds = kinds_of_data(record)
    if "anew" in kinds:
        yield f"Each pair had data of its own, made anew from its seed, in {listed(kinds['anew'])}."
    if "split" in kinds:
        yield (
            f"Each pair had a split of its own, drawn by its seed from one set, in "
            f"{listed(kinds['split'])}."
        )
    if "own" in kinds:
        yield f"Each pair had data of its own in {listed(kinds['own'])}."
    if "shared" in kinds:
        yield f"All pairs shared one data set and its split in {listed(kinds['shared'])}."


def probed(record: Record) -> str:
    """What was looked at inside the nets of one pair; empty where nothing was."""
    if not record.streams:
        return ""
    places = listed([*dict.fromkeys(stream.place for stream in record.streams)])
    return (
        f"In one pair each (at {places}) the nets were probed before the first and after the last "
        "step, in training mode on one training batch: root mean square of the stream, norm of the "
        "gradient of the loss at it, size of each branch over that of the stream, and a measure of "
        "collapse. This describes one pair and tests nothing."
    )


def planned(record: Record) -> Iterator[str]:
    """When the plan was locked, when it ends, who looked, and what departs from it."""
    if plan := record.plan:
        yield (
            f"The plan was locked at {plan.begun} (UTC; digest {plan.digest}). It ends "
            f"{plan.stopping} ({plan.pairs} pairs at most)."
        )
        looks = [f"{look.pairs}" for look in plan.looks]
        times = "once" if len(looks) == 1 else f"{len(looks)} times"
        seen = f", after {listed(looks)} pairs" if looks else ""
        yield f"Results were looked at {times}{seen}."
    if record.exploratory:
        departures = "; ".join(words.split(": ", 1)[1].rstrip(".") for words in record.exploratory)
        yield f"All of this explores, since it departs from the plan: {departures}."


def ran_on(record: Record) -> str:
    """Hardware and software of the runs."""
    machines = dict.fromkeys(keys_and_values(e.machine) for e in record.environments)
    versions = dict.fromkeys(keys_and_values(e.versions) for e in record.environments)
    return (
        f"Hardware: {' and '.join(machines) or 'not recorded'}. Software: "
        f"{' and '.join(versions) or 'not recorded'}. Command: {' '.join(record.command.split())}"
    )
