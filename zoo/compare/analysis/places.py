"""The summary of a place, without verdicts, and the evidence for them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from zoo.compare.analysis import statistics as stats
from zoo.compare.analysis.aggregate import grouped
from zoo.compare.analysis.evidence import Evidence
from zoo.compare.analysis.fairness import fairness_warnings
from zoo.compare.analysis.pairing import PAIRED_DIGESTS, START_DIGESTS, Pairing
from zoo.compare.analysis.record import Declared
from zoo.compare.analysis.runs import WAITING, Run
from zoo.compare.analysis.signs import TESTS
from zoo.compare.analysis.summaries import ArmSummary, Contrast, PlaceSummary


def place_summary(
    title: str, runs: Sequence[Run], declared: Declared
) -> tuple[PlaceSummary, list[Evidence]]:
    """The summary of one place, and for each of its contrasts the evidence of the verdict to come.

    Args:
        title: of the place.
        runs: at the place.
        declared: of the comparison.
    """
    arms = {name: arm_summary(group) for name, group in grouped(runs, lambda run: run.arm)}
    first = runs[0]
    ended = next((run for run in runs if run.ended), first)
    compared = [(a, b) for a, b in declared.baselines.items() if a in arms and b in arms]
    contrasts, evidence = [], []
    for arm, baseline in compared:
        contrast, differences = contrast_of(runs, arm, baseline, declared)
        if not declared.null:  # its seeds differ on purpose
            contrast.warnings = fairness_warnings(runs, arms[arm], arms[baseline])
        contrasts.append(contrast)
        evidence.append(differences)
    return PlaceSummary(
        title=title,
        task=first.task,
        family=first.family,
        depth=first.depth,
        settings=first.settings,
        metric=ended.metric,
        higher_is_better=ended.higher_is_better,
        chance=ended.chance,
        arms=list(arms.values()),
        contrasts=contrasts,
    ), evidence


def contrast_of(
    runs: Sequence[Run], arm: str, baseline: str, declared: Declared
) -> tuple[Contrast, Evidence]:
    """One arm against its baseline at one place, without verdict, and the evidence for that.

    Args:
        runs: at the place.
        arm: name of the arm.
        baseline: name of the arm that it is compared with.
        declared: of the comparison.
    """
    pairing = Pairing.of(runs, arm, baseline)
    differences = pairing.differences()
    ours, theirs = pairing.diverged()
    evidence = Evidence(
        arm=arm,
        baseline=baseline,
        differences=list(differences.values()),
        launched=len(pairing.ours) - pairing.waiting(),
        untrained=pairing.untrained(),
        stake=pairing.stake(),
        unequal=pairing.why_unequal(
            digests_to_share(declared, arm, baseline), runs[0].place in declared.varied
        ),
        delta=declared.effects.get(runs[0].task, 0.0),
        at_best=list(pairing.differences(lambda run: run.best).values()),
        test=TESTS[declared.test],
        waiting=pairing.waiting(),
        unscored=len(pairing.untrained()) - len(differences),
    )
    return Contrast(
        arm=arm,
        baseline=baseline,
        **evidence.numbers(),
        seeds=list(differences),
        secondary=pairing.secondary(evidence.test),
        diverged=[len(ours), len(theirs)],
    ), evidence


def digests_to_share(declared: Declared, arm: str, baseline: str) -> tuple[str, ...]:
    """Keys of the digests that must be equal in a pair of two arms.

    Those of the branches are among them only where the arms differ in nothing but the connection.
    """
    if declared.null:
        return ()
    ours, theirs = (declared.arms.get(name, {}) for name in (arm, baseline))
    differing = {key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key)}
    differing |= {key for key in declared.tuned if not key.startswith("optimizer.")}
    only_connection = all(key.partition(".")[0] in ("connection", "long") for key in differing)
    return tuple(key for key in PAIRED_DIGESTS if only_connection or key not in START_DIGESTS)


def arm_summary(runs: Sequence[Run]) -> ArmSummary:
    """The summary of all runs of one arm at one place."""
    values = [run.value for run in runs if run.value is not None]
    ended = [run for run in runs if run.ended]
    waiting = sum(run.status == WAITING for run in runs)
    diverged = sum(run.status == "diverged" for run in runs)
    return ArmSummary(
        arm=runs[0].arm,
        launched=len(runs) - waiting,
        waiting=waiting,
        done=len(ended) - diverged,
        diverged=diverged,
        failed=len(runs) - waiting - len(ended),
        divergence=stats.binomial_interval(diverged, len(ended)) if ended else None,
        mean=mean_of_known(values),
        sd=float(np.std(values, ddof=1)) if len(values) > 1 else None,
        train=mean_of_known(run.train for run in ended),
        flops=runs[0].flops,
        examples=next((run.examples for run in ended), None),
        parameters=mean_of_known(run.parameters for run in ended),
        seconds=mean_of_known(run.seconds for run in ended),
        seconds_per_step=mean_of_known(run.seconds_per_step for run in ended),
        peak_memory_bytes=mean_of_known(run.peak_memory_bytes for run in ended),
    )


def mean_of_known(values: Iterable[float | None]) -> float | None:
    """The mean of the values that are not None, or None without any."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
