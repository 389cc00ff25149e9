"""The statistics of a comparison as paragraphs for a paper."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from zoo.compare.analysis.aggregate import contrasts_of, primary_of
from zoo.compare.analysis.record import Record
from zoo.compare.analysis.signs import ALPHA
from zoo.compare.analysis.summaries import Contrast
from zoo.compare.analysis.verdict import CLAIM, EXPLORING
from zoo.compare.report.formats import keys_and_values

HOLM = "Holm 1979, Scandinavian Journal of Statistics 6:65-70"
CLOPPER = "Clopper and Pearson 1934, Biometrika 26:404-413"
MCNEMAR = "McNemar 1947, Psychometrika 12:153-157"
VILLE = "Ville 1939, Étude critique de la notion de collectif, Gauthier-Villars"
AGARWAL = "Agarwal et al. 2021, arXiv:2108.13264"
CAMERON = "Cameron et al. 2011, Journal of Business and Economic Statistics 29:238-249"
SATTERTHWAITE = "Satterthwaite 1946, Biometrics Bulletin 2:110-114"
EFRON = "Efron 1982, The Jackknife, the Bootstrap and Other Resampling Plans, chapter 6"
MICKEY = "Mickey and Brown 1966, Annals of Mathematical Statistics 37:639-642"
FIXED = (
    "Its 95 % interval lies between two ordered differences, by the binomial distribution, from "
    "five pairs on (of five pairs: 94 %). The test is the exact two-sided sign test."
)
ANYTIME = (
    "The test is valid whenever one stops: p is one over the largest wealth of bets on the signs "
    f"({VILLE}). The 95 % interval, from seven pairs on, has the medians that this test does not "
    "reject at any look."
)
PAPERS = (HOLM, VILLE, EFRON, CAMERON, SATTERTHWAITE, CLOPPER, MCNEMAR, AGARWAL, MICKEY)


def tested(record: Record) -> Iterator[str]:
    """The paragraphs on gaps, failures to train and averages; none without a gap."""
    contrasts = [c for _, c in contrasts_of(record.places)]
    if contrasts:
        yield " ".join([*tests(record, contrasts), *of_examples(contrasts), *of_noise(record)])
        yield " ".join(failures(contrasts))
    if record.overall:
        yield over_tasks(record)


def tests(record: Record, contrasts: Sequence[Contrast]) -> Iterator[str]:
    """How gaps were estimated, tested and corrected."""
    deepest = [c for _, c in primary_of(record.places)]
    shallower = len(contrasts) - len(deepest)
    anytime = any(c.anytime for c in contrasts)
    yield (
        "A gap is the median over pairs of the score of an arm less that of its baseline, signed "
        "so that positive is better."
    )
    yield ANYTIME if anytime else FIXED
    yield (
        "An arm is called better where it is better by more than the smallest effect in most "
        "pairs, and ahead where that is shown of any difference, both at once by one correction. "
        "Two arms are called equivalent where two such tests show that most pairs differ by less, "
        "to either side, and where as many failures to train as are not excluded could not move a "
        "mean by that much; alike in most pairs where they could."
    )
    yield (
        f"Holm's correction ({HOLM}) holds the rate of false claims of a difference at 5 % over "
        f"{counted(len(deepest), 'hypothesis', 'hypotheses')} at the deepest place of each task; "
        "equivalence, and failures to train, are families of their own with 5 % each."
    )
    if shallower:
        are = "is" if shallower == 1 else "are"
        yield (
            f"{counted(shallower, 'gap', 'gaps')} at shallower places {are} exploratory: claims "
            f"of them have another {100 * EXPLORING * ALPHA:.0f} %."
        )
    yield needed_words(deepest, [c for c in contrasts if not any(c is d for d in deepest)])
    yield "A verdict at the best step on validation is a second view, which nothing corrects."
    if record.slopes:
        yield (
            "The growth of a gap is the median over pairs of its least-squares slope over log2 of "
            f"depth, tested likewise ({counted(len(record.slopes), 'hypothesis', 'hypotheses')}, a "
            "family of their own), and only said where a gap is shown at the shallowest or at the "
            "deepest place."
        )


def counted(count: int, one: str, more: str) -> str:
    """A number with its noun.

    >>> counted(1, "gap", "gaps"), counted(2, "gap", "gaps")
    ('1 gap', '2 gaps')
    """
    return f"{count} {one if count == 1 else more}"


def needed_words(deepest: Sequence[Contrast], shallower: Sequence[Contrast]) -> str:
    """How many pairs a verdict needs at the deepest places, and at the others where it is more."""
    most, other = (max((c.needed for c in group), default=0) for group in (deepest, shallower))
    more = f", at shallower places fewer than {other}" if other > most else ""
    return f"Fewer than {most} pairs{more}, give a direction or an interval, and no verdict."


def of_examples(contrasts: Sequence[Contrast]) -> Iterator[str]:
    """How sure gaps are for other test examples, where it is known what each one adds."""
    known = sum(c.sources is not None for c in contrasts)
    if known:
        yield (
            f"For {known} of {len(contrasts)} gaps it is known what each test example adds to the "
            f"metric (of a ratio of sums, such as mean IoU, its linear part; {EFRON}). The mean "
            "gap then has an interval for other pairs and other test examples, by the variance "
            f"that is clustered by pairs and by examples ({CAMERON}), with degrees of freedom by "
            f"{SATTERTHWAITE}; a table says how much is of each source."
        )


def of_noise(record: Record) -> Iterator[str]:
    """How the noise was measured, in a comparison of an arm with itself."""
    if record.noise:
        yield (
            "The noise at a place is the standard deviation of the differences of its pairs, with "
            "an interval of 95 % by the chi-squared distribution; from it follow the pairs that "
            "show a gap with a power of 80 %."
        )


def failures(contrasts: Sequence[Contrast]) -> Iterator[str]:
    """How runs that failed to train were counted."""
    ours, theirs = (sum(c.untrained[i] for c in contrasts) for i in (0, 1))
    test = (
        "by the same bets on the pairs in which one failed"
        if any(c.anytime for c in contrasts)
        else f"by the exact test of discordant pairs ({MCNEMAR})"
    )
    yield (
        f"A run failed to train where it diverged or ended no better than chance ({ours} runs of "
        f"the arms, {theirs} of the baselines over all gaps). Rates have exact upper bounds of "
        f"95 % ({CLOPPER}). Arms were compared {test}."
    )


def over_tasks(record: Record) -> str:
    """How averages over tasks were made."""
    ends = (
        "Intervals are Student's, for other pairs of the same tasks, with the degrees of freedom "
        f"of the task that has the fewest pairs ({MICKEY}); they hold if no more runs fail than "
        "were seen"
        if record.overall[0].gap.low is not None
        else f"With fewer than {CLAIM} pairs they have no interval"
    )
    return (
        "Over tasks, at the deepest place of each, we report the mean and the interquartile mean "
        "of the gaps of pairs, scores being scaled to 0 at chance and 1 at the reference "
        f"({keys_and_values(record.declared.references)}), and the probability of improvement, "
        f"which is over all runs of both arms ({AGARWAL}). {ends}."
    )
