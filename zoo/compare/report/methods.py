"""The methods of a comparison as a paragraph for a paper, made from its record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from zoo.compare.analysis.aggregate import contrasts_of, families, grouped
from zoo.compare.analysis.record import Declared, Record
from zoo.compare.analysis.runs import WAITING
from zoo.compare.analysis.summaries import Contrast, PlaceSummary
from zoo.compare.analysis.verdict import CLAIM
from zoo.compare.report.formats import keys_and_values, measure_label
from zoo.compare.report.tables import examples_of
from zoo.compare.report.title import arms
from zoo.errors import listed

HOLM = "Holm 1979, Scandinavian Journal of Statistics 6:65-70"
CLOPPER = "Clopper and Pearson 1934, Biometrika 26:404-413"
MCNEMAR = "McNemar 1947, Psychometrika 12:153-157"
VILLE = "Ville 1939, Étude critique de la notion de collectif, Gauthier-Villars"
AGARWAL = "Agarwal et al. 2021, arXiv:2108.13264"


def methods(record: Record) -> list[str]:
    """The paragraphs of the methods: what was compared, how it was tested, where it ran."""
    contrasts = [c for _, c in contrasts_of(record.places)]
    texts = [compared(record)]
    if contrasts:
        texts += [" ".join(tests(record, contrasts)), " ".join(failures(contrasts))]
    texts += [over_tasks(record)] if record.overall else []
    return [*texts, ran_on(record), f"References: {'. '.join(references(record, contrasts))}."]


def compared(record: Record) -> str:
    """What was compared, on which data, by which metric."""
    declared, families_of = record.declared, families(record.places)
    options = ", ".join(f"{arm} ({keys_and_values(of)})" for arm, of in declared.arms.items())
    tasks = "; ".join(task_of(declared, name, places) for name, places in families_of)
    ended = sum(run.ended for run in record.cells)
    waiting = sum(run.status == WAITING for run in record.cells)
    lost = len(record.cells) - ended - waiting
    seeds = grouped([str(pair) for pair in declared.pairs], len)
    numbers = ", ".join(text for _, texts in seeds for text in texts)
    foreign = all(place.task in declared.scripts for place in record.places)
    same = "Both runs of a pair share their seed, data and order of batches, by their digests."
    if declared.scripts:
        same = "Both runs of a pair share their seed. What else runs of a command share is unknown."
    if declared.null:
        same = "Both runs of a pair are the same rule under different seeds."
    judged = "" if foreign else "Every run was judged at its last step. "
    return (
        f"We compared {arms(declared)}. Arms: {options}. Each arm was trained once for each of "
        f"{len(declared.pairs)} pairs (seeds {numbers}) at each place: {tasks}. {same} Of "
        f"{len(record.cells)} runs {ended} ended, {lost} were lost and {waiting} have not run. "
        f"{judged}A run that diverged or ended below chance counts as chance."
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


def tests(record: Record, contrasts: Sequence[Contrast]) -> Iterator[str]:
    """How gaps were estimated, tested and corrected."""
    primary = sum(len(places[-1].contrasts) for _, places in families(record.places))
    yield (
        "A gap is the median over pairs of the score of an arm less that of its baseline, signed "
        "so that positive is better. Its 95 % interval lies between two ordered differences, by "
        "the binomial distribution, from five pairs on (of five pairs: 94 %)."
    )
    test = (
        "a test that is valid whenever one stops: p is one over the largest wealth of bets on the "
        f"signs ({VILLE})"
        if any(c.anytime for c in contrasts)
        else "the exact two-sided sign test"
    )
    yield (
        "An arm is called better where it is better by more than the smallest effect in most "
        f"pairs, by {test}. Two arms are called equivalent where two such tests show that most "
        "pairs differ by less, to either side, and where as many failures to train as are not "
        "excluded could not move a mean by that much."
    )
    yield (
        f"Holm's correction ({HOLM}) holds the rate of errors at 5 % over the {primary} "
        f"{'hypothesis' if primary == 1 else 'hypotheses'} at the deepest place of each task. The "
        f"{len(contrasts) - primary} gaps at shallower places are exploratory."
    )
    if record.exploratory:
        departures = "; ".join(words.split(": ", 1)[1].rstrip(".") for words in record.exploratory)
        yield f"All of this explores, since it departs from the plan: {departures}."
    yield (
        f"Fewer than {max((c.needed for c in contrasts), default=CLAIM)} pairs give a direction or "
        "an interval, and no verdict."
    )
    if record.slopes:
        yield (
            "The growth of a gap is the median over pairs of its least-squares slope over log2 of "
            f"depth, tested likewise ({len(record.slopes)} hypotheses, a family of their own)."
        )


def failures(contrasts: Sequence[Contrast]) -> Iterator[str]:
    """How runs that failed to train were counted."""
    ours, theirs = (sum(c.untrained[i] for c in contrasts) for i in (0, 1))
    yield (
        f"A run failed to train where it diverged or ended no better than chance ({ours} runs of "
        f"the arms, {theirs} of the baselines over all gaps). Rates have exact upper bounds of "
        f"95 % ({CLOPPER}). Arms were compared by the exact test of discordant pairs ({MCNEMAR})."
    )


def over_tasks(record: Record) -> str:
    """How averages over tasks were made."""
    bootstrap = (
        "Intervals are percentiles of a bootstrap over the pairs inside each task"
        if record.overall[0].gap.low is not None
        else f"With fewer than {CLAIM} pairs they have no interval"
    )
    return (
        "Over tasks, at the deepest place of each, we report the mean and the interquartile mean "
        "of the gaps of pairs, scores being scaled to 0 at chance and 1 at the reference "
        f"({keys_and_values(record.declared.references)}), and the probability of improvement, "
        f"which is over all runs of both arms ({AGARWAL}). {bootstrap}."
    )


def ran_on(record: Record) -> str:
    """Hardware and software of the runs."""
    machines = dict.fromkeys(keys_and_values(e.machine) for e in record.environments)
    versions = dict.fromkeys(keys_and_values(e.versions) for e in record.environments)
    return (
        f"Hardware: {' and '.join(machines) or 'not recorded'}. Software: "
        f"{' and '.join(versions) or 'not recorded'}. Command: {' '.join(record.command.split())}"
    )


def references(record: Record, contrasts: Sequence[Contrast]) -> Iterator[str]:
    """The papers that the paragraphs cite."""
    if contrasts:
        yield from (HOLM, CLOPPER, MCNEMAR)
    if any(c.anytime for c in contrasts):
        yield VILLE
    if record.overall:
        yield AGARWAL
