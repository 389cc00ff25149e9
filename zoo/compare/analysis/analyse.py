"""From the runs of a comparison to its record with verdicts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from zoo.compare.analysis import statistics as stats
from zoo.compare.analysis.aggregate import contrasts_of, families, grouped, growth_of_gaps
from zoo.compare.analysis.evidence import Evidence
from zoo.compare.analysis.fairness import fairness_warnings
from zoo.compare.analysis.items import sources_of
from zoo.compare.analysis.mixing_matrices import mixing_of_arms
from zoo.compare.analysis.noise import noise_floors
from zoo.compare.analysis.over_tasks import task_averages
from zoo.compare.analysis.pairing import PAIRED_DIGESTS, START_DIGESTS, Pairing
from zoo.compare.analysis.record import Declared, Environment, Record
from zoo.compare.analysis.results import result_of
from zoo.compare.analysis.runs import WAITING, Run
from zoo.compare.analysis.signs import TESTS
from zoo.compare.analysis.summaries import ArmSummary, Contrast, PlaceSummary
from zoo.compare.analysis.tuned import gaps_beside
from zoo.compare.analysis.verdict import at_best, corrected, failures, verdict


def analysed(record: Record, folders: Sequence[Path]) -> Record:
    """The record with all that is computed of its runs.

    Args:
        record: what is declared, and the runs.
        folders: of comparisons, which hold the runs.
    """
    runs, declared = record.cells, record.declared
    results = (result_of(run.id, folders) for run in runs)
    texts = {json.dumps([r.versions, r.machine]) for r in results if r}
    places, tuning = place_summaries(runs, declared), record.tuning
    by_place = dict(grouped(runs, lambda run: run.place))
    for place, contrast in contrasts_of(places):
        pairing = Pairing.of(by_place[place.title], contrast.arm, contrast.baseline)
        contrast.sources = sources_of(pairing, folders)
    test = TESTS[declared.test]
    primary = sum(not contrast.exploratory for _, contrast in contrasts_of(places))
    return replace(
        record,
        tuning=tuning and replace(tuning, gaps=gaps_beside(tuning, runs, declared.baselines, test)),
        environments=[Environment(*json.loads(text)) for text in sorted(texts)],
        places=places,
        slopes=growth_of_gaps(places, declared.baselines, test),
        overall=task_averages(places, runs, declared.baselines, declared.references),
        noise=noise_floors(places, primary, test) if declared.null else [],
        mixing=mixing_of_arms(runs, folders),
        homes=[],
    )


def place_summaries(runs: Sequence[Run], declared: Declared) -> list[PlaceSummary]:
    """The summary of each place, with the verdicts of its contrasts.

    Holm's correction is over the deepest place of every family; shallower ones are exploratory.

    Args:
        runs: of the comparison, in its order of places.
        declared: of the comparison.
    """
    judged = [
        place_summary(title, group, declared) for title, group in grouped(runs, lambda r: r.place)
    ]
    places = [place for place, _ in judged]
    primary = [c for _, members in families(places) for c in members[-1].contrasts]
    chosen = {id(contrast) for contrast in primary}
    evidence = [
        pair for place, found in judged for pair in zip(place.contrasts, found, strict=True)
    ]
    family = [pair for pair in evidence if id(pair[0]) in chosen]
    decide(family)
    for pair in evidence:
        if id(pair[0]) not in chosen:
            decide([pair])
            explore(pair[0])
    return places


def decide(family: Sequence[tuple[Contrast, Evidence]]) -> None:
    """Gives contrasts that are corrected together their verdicts."""
    evidences = [evidence for _, evidence in family]
    others = at_best(evidences)
    for (contrast, evidence), p, other in zip(family, corrected(evidences), others, strict=True):
        contrast.at_best = other
        contrast.holm_p, contrast.equivalence_holm_p = p.beyond, p.equivalent
        contrast.verdict, contrast.failures = verdict(evidence, p), failures(evidence, p)
        contrast.needed = p.needed


def undecided(record: Record) -> list[Contrast]:
    """The primary contrasts that further pairs may still show to be different, or alike."""
    return [
        contrast
        for _, contrast in contrasts_of(record.places)
        if not contrast.exploratory and not contrast.decided
    ]


def explore(contrast: Contrast) -> None:
    """Marks a contrast that is outside of the correction."""
    contrast.exploratory = True
    if contrast.pairs >= contrast.needed:
        contrast.verdict = f"{contrast.verdict} (exploratory)"


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
