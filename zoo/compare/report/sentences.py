"""Sentences on a record: the averages over tasks, and the warnings before and after verdicts."""

from __future__ import annotations

from zoo.compare.analysis.aggregate import contrasts_of, families, primary_of
from zoo.compare.analysis.analyse import undecided
from zoo.compare.analysis.record import Record
from zoo.compare.analysis.runs import WAITING
from zoo.compare.analysis.verdict import CLAIM, DIRECTION
from zoo.compare.report.formats import directions, interval, range_without_a_task
from zoo.errors import listed

ONE_RECIPE = "One set of hyperparameters for all arms; none was tuned for this comparison."
SEVERAL_RECIPES = "Arms set options beside the connection; they stand under the arms of the report."
TUNED = (
    "Every arm has its own best {options} at every place, from a search on validation that had the "
    "same grid, budget and seeds for all arms ({seeds}, which are no pair's); no test number was "
    "read by it. Nothing else was tuned."
)
IF_NO_MORE_FAIL = "These intervals hold if no more runs fail than were seen."
AT_CHANCE = "A run that diverged or ended below chance is at chance."
CAVEATS = (
    f"Every run is judged at its last step. {AT_CHANCE}",
    "These tasks are no sample of all tasks.",
)
SCRIPTS = (
    "The arms of a command are paired by the seed alone. Whether the runs of a pair start from the "
    "same weights and see the same data in the same order, whether arms differ in one idea, and "
    "whether the metric is of data that no run was trained on or chosen by, was not checked.",
    "A change of files that the command does not name goes unseen. After one, begin in another "
    "folder (dir=).",
)  # fmt: skip


def headlines(record: Record) -> list[str]:
    """Sentences on each average over tasks: the gaps, their directions and single tasks."""
    return [
        f"Over {len(a.tasks)} tasks at their deepest, {a.arm} against {a.baseline}: "
        f"{directions(a)}. The mean gap is {interval(a.gap)}, the interquartile mean "
        f"{interval(a.iqm)}, where 1 is the way from chance to the reference. A run of {a.arm} "
        f"scores above one of {a.baseline} with probability {interval(a.improvement)}."
        + (f" {IF_NO_MORE_FAIL}" if a.failures_matter and a.gap.low is not None else "")
        + (f" Without one task, the mean gap is {range_without_a_task(a)}." if a.without else "")
        for a in record.overall
    ]


def caveats(record: Record) -> list[str]:
    """Sentences on what every verdict assumes."""
    scripts = record.declared.scripts
    if all(place.task in scripts for place in record.places):
        guessed = any(place.chance is not None for place in record.places)
        return [*SCRIPTS, *([AT_CHANCE] if guessed else []), *CAVEATS[1:]]
    keys = {key.partition(".")[0] for arm in record.declared.arms.values() for key in arm}
    recipes = [] if keys <= {"connection", "long"} else [SEVERAL_RECIPES]
    return [
        *(recipes or ([] if record.tuning else [ONE_RECIPE])),
        *tuned(record),
        *data_caveats(record),
        *(SCRIPTS if scripts else ()),
        *CAVEATS,
    ]


def tuned(record: Record) -> list[str]:
    """A sentence on what was tuned, and one on the places where it was not."""
    if not record.tuning:
        return []
    options, seeds = " and ".join(record.declared.tuned), record.tuning.seeds
    searched = {search.place for search in record.tuning.searches}
    others = [place.title for place in record.places if place.title not in searched]
    said = [TUNED.format(options=options, seeds=f"seeds {', '.join(map(str, seeds))}")]
    return said + ([f"Nothing was tuned at {'; '.join(others)}."] if others else [])


def data_caveats(record: Record) -> list[str]:
    """Sentences on whether pairs have data of their own, and what intervals then hold for."""
    kinds = kinds_of_data(record)
    said = {
        "anew": "each pair has data of its own, made anew: intervals hold for other data too",
        "split": "each pair has its own split of one set: intervals hold for other splits of it",
        "own": "each pair has data of its own: intervals hold for such data too",
        "shared": "all pairs share one data set: intervals hold for that one alone",
    }
    return [f"{listed(kinds[kind])}: {words}." for kind, words in said.items() if kind in kinds]


def kinds_of_data(record: Record) -> dict[str, list[str]]:
    """The families of places by their data: made `anew` for each pair, a `split` of one set for
    each pair, its `own` of a kind that is not known, or `shared`; commands are left out.
    """
    declared = record.declared
    kinds: dict[str, list[str]] = {}
    for family, places in families(record.places):
        title = places[-1].title
        if places[-1].task not in declared.scripts:
            known = declared.resplit is not None
            kind = "split" if title in (declared.resplit or ()) else "anew" if known else "own"
            kinds.setdefault(kind if title in declared.varied else "shared", []).append(family)
    return kinds


def news(record: Record) -> str:
    """What the deepest places show so far, in one line."""
    primary = primary_of(record.places)
    pairs = max((c.pairs for _, c in primary), default=0)
    parts = [f"{p.title}, {c.arm}: {c.verdict}" for p, c in primary]
    return f"after {pairs} {'pair' if pairs == 1 else 'pairs'}: {' | '.join(parts)}"


def on_the_plan(record: Record) -> list[str]:
    """Sentences on what no plan foresaw, and on hypotheses that `pairs=auto` has not decided."""
    left, primary = undecided(record), len(primary_of(record.places))
    pairs, sentences = len(record.declared.pairs), list(record.exploratory)
    if record.declared.test == "auto" and left:
        limit = ", the limit of the plan" if record.plan and pairs >= record.plan.pairs else ""
        sentences.append(
            f"Undecided: {len(left)} of {primary} primary hypotheses after {pairs} pairs{limit}."
        )
    return sentences


def warnings_first(record: Record) -> list[str]:
    """Sentences that a reader must know before the verdicts: few pairs, lost runs, blocked gaps."""
    return [*on_the_plan(record), *warnings_of_pairs(record), *warnings_of_runs(record)]


def warnings_of_pairs(record: Record) -> list[str]:
    """Sentences on a comparison with too few pairs for verdicts, or of an arm with itself."""
    every = [c for _, c in contrasts_of(record.places)]
    contrasts = [c for _, c in primary_of(record.places)]
    counts = [c.pairs for c in contrasts]
    fewest, most = min(counts, default=0), max(counts, default=0)
    enough = max((c.needed for c in contrasts), default=CLAIM)
    pairs = f"{most} {'pair' if most == 1 else 'pairs'}"
    warnings = []
    if most <= DIRECTION:
        warnings.append(f"Direction only: {pairs}. So few runs show which way a difference "
                        f"points, not whether it is real. A verdict needs {enough}.")  # fmt: skip
    elif most < enough:
        warnings.append(f"Intervals, few verdicts: {pairs}. A verdict at the deepest place needs "
                        f"{enough}.")  # fmt: skip
    elif fewest < enough:
        short = sum(c.pairs < c.needed for c in contrasts)
        warnings.append(f"{short} of {len(counts)} gaps at the deepest places have fewer pairs "
                        "than a verdict needs.")  # fmt: skip
    elif any(c.pairs < c.needed for c in every):
        warnings.append(f"A verdict at a shallower place, which explores, needs "
                        f"{max(c.needed for c in every)} pairs.")  # fmt: skip
    if record.declared.null:
        warnings.append("A null comparison: both arms are the same rule under other seeds, so "
                        "every verdict of a difference would be false.")  # fmt: skip
    return warnings


def warnings_of_runs(record: Record) -> list[str]:
    """Sentences on runs that wait, failed or diverged, and on verdicts that are blocked."""
    runs, statuses = len(record.cells), [run.status for run in record.cells]
    verdicts = [c.verdict for _, c in contrasts_of(record.places)]
    warnings = []
    if waiting := statuses.count(WAITING):
        warnings.append(f"{waiting} of {runs} runs have not run yet.")
    if failed := statuses.count("failed"):
        warnings.append(f"{failed} of {runs} runs failed and are missing below.")
    if blocked := sum(verdict.startswith("blocked") for verdict in verdicts):
        warnings.append(f"{blocked} of {len(verdicts)} verdicts are blocked, they say why.")
    diverged = [run for run in record.cells if run.status == "diverged"]
    if counted := sum(run.value is not None for run in diverged):
        warnings.append(f"{counted} runs diverged. They count as chance.")
    if missing := sum(run.value is None for run in diverged):
        warnings.append(f"{missing} of {runs} runs ended without a number, which blocks their "
                        "verdicts; by chance= they would count as chance.")  # fmt: skip
    return warnings
