"""How many pairs a comparison runs, and after which of them it reports."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from zoo.compare.analysis.signs import POWER, TESTS, anytime_p, pairs_for, power
from zoo.compare.analysis.verdict import CLAIM, DIRECTION, INTERVAL, needed
from zoo.compare.design.spec import Comparison
from zoo.errors import ConfigError

FURTHER = 4  # pairs of a wave after those that a verdict needs


def most_pairs(options: Comparison, hypotheses: int) -> int:
    """The pairs that a comparison runs at most.

    Args:
        options: as declared.
        hypotheses: number of those that are corrected for each other.

    Errors:
        ConfigError: a limit that is too low for any verdict.
    """
    if options.pairs != "auto":
        return options.pairs
    least = needed(hypotheses, anytime_p)
    if options.limit and options.limit < least:
        what = f"no verdict is possible with {options.limit} pairs; it needs {least}"
        raise ConfigError(what, f"limit={options.limit}", f"give limit={least} or more")
    return options.limit or pairs_for(POWER, hypotheses, test=anytime_p) or CLAIM


def waves(pairs: Sequence[int], least: int = 1) -> Iterator[list[int]]:
    """Pairs in the waves that reports follow: a direction, intervals, a verdict, and further ones.

    Args:
        pairs: of the comparison.
        least: the fewest pairs of a wave, but for the last one.

    >>> list(waves(range(10)))
    [[0, 1, 2], [3, 4], [5, 6, 7], [8, 9]]
    >>> list(waves(range(10), least=6))
    [[0, 1, 2, 3, 4, 5, 6, 7], [8, 9]]
    """
    ends = itertools.chain((DIRECTION, INTERVAL), itertools.count(CLAIM, FURTHER))
    start = 0
    for end in ends:
        if start >= len(pairs):
            return
        if end - start >= least or end >= len(pairs):
            yield list(pairs[start:end])
            start = end


def power_words(pairs: int, hypotheses: int, test: str) -> str:
    """What pairs will show, in words.

    Args:
        pairs: at most.
        hypotheses: number of those that are corrected for each other.
        test: of the pairs, a key of `TESTS`.
    """
    chance = power(pairs, hypotheses, test=TESTS[test])
    enough = pairs_for(POWER, hypotheses, test=TESTS[test])
    some = f"{hypotheses} {'hypothesis' if hypotheses == 1 else 'hypotheses'}"
    return (
        f"with {pairs} pairs and {some}, a difference of one standard deviation beyond the "
        f"smallest effect is shown in {100 * chance:.0f} % of comparisons; 80 % need {enough} pairs"
    )
