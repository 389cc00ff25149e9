"""From the runs of a comparison to its record with verdicts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from zoo.compare.analysis.aggregate import contrasts_of, grouped, primary_of
from zoo.compare.analysis.evidence import Evidence
from zoo.compare.analysis.items import sources_of, warnings_of
from zoo.compare.analysis.mixing_matrices import mixing_of_arms
from zoo.compare.analysis.noise import noise_floors
from zoo.compare.analysis.over_tasks import task_averages
from zoo.compare.analysis.pairing import Pairing
from zoo.compare.analysis.places import place_summary
from zoo.compare.analysis.record import Declared, Environment, Record
from zoo.compare.analysis.results import result_of
from zoo.compare.analysis.runs import Run
from zoo.compare.analysis.score_shares import Shares, shares_of
from zoo.compare.analysis.signs import TESTS
from zoo.compare.analysis.slopes import growth_of_gaps
from zoo.compare.analysis.streams import streams_of
from zoo.compare.analysis.summaries import Contrast, PlaceSummary
from zoo.compare.analysis.tuned import gaps_beside
from zoo.compare.analysis.verdict import EXPLORING, at_best, corrected, failures, verdict


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
    scores: dict[str, Shares | None] = {}  # of an arm and itself, by place
    for place, contrast in contrasts_of(places):
        pairing = Pairing.of(by_place[place.title], contrast.arm, contrast.baseline)
        contrast.sources = sources_of(pairing, folders)
        if declared.null:
            scores[place.title] = shares_of(pairing, folders)
        contrast.warnings += warnings_of(contrast)
    test = TESTS[declared.test]
    primary = len(primary_of(places))
    return replace(
        record,
        tuning=tuning and replace(tuning, gaps=gaps_beside(tuning, runs, declared.baselines, test)),
        environments=[Environment(*json.loads(text)) for text in sorted(texts)],
        places=places,
        slopes=growth_of_gaps(places, declared.baselines, test),
        overall=task_averages(places, runs, declared.baselines, declared.references),
        noise=noise_floors(places, primary, test, scores) if declared.null else [],
        mixing=mixing_of_arms(runs, folders),
        streams=streams_of(places, runs, folders),
        homes=[],
    )


def place_summaries(runs: Sequence[Run], declared: Declared) -> list[PlaceSummary]:
    """The summary of each place, with the verdicts of its contrasts.

    The deepest place of every family is a primary hypothesis. All others are exploratory and
    corrected among themselves, so that their claims err in 1 % beside the 5 % of the primary ones.

    Args:
        runs: of the comparison, in its order of places.
        declared: of the comparison.
    """
    judged = [
        place_summary(title, group, declared) for title, group in grouped(runs, lambda r: r.place)
    ]
    places = [place for place, _ in judged]
    every = [
        pair for place, evidence in judged for pair in zip(place.contrasts, evidence, strict=True)
    ]
    chosen = {id(contrast) for _, contrast in primary_of(places)}
    for contrast, _ in every:
        contrast.exploratory = id(contrast) not in chosen
    decide([pair for pair in every if not pair[0].exploratory])
    decide([pair for pair in every if pair[0].exploratory], EXPLORING)
    return places


def decide(family: Sequence[tuple[Contrast, Evidence]], share: float = 1.0) -> None:
    """Gives contrasts that are corrected together their verdicts.

    Args:
        family: of contrasts.
        share: of the 5 % in which they may err.
    """
    evidences = [evidence for _, evidence in family]
    both = zip(corrected(evidences, share), at_best(evidences, share), strict=True)
    for (contrast, evidence), (p, other) in zip(family, both, strict=True):
        contrast.at_best, contrast.needed = other, p.needed
        contrast.holm_p, contrast.ahead_holm_p = p.beyond, p.ahead
        contrast.equivalence_holm_p = p.equivalent
        contrast.verdict, contrast.failures = verdict(evidence, p), failures(evidence, p)
        if contrast.exploratory:
            explore(contrast)


def explore(contrast: Contrast) -> None:
    """Marks a contrast that is outside of the correction, or of the plan."""
    contrast.exploratory = True
    if contrast.pairs >= contrast.needed:
        contrast.verdict = f"{contrast.verdict} (exploratory)"


def undecided(record: Record) -> list[Contrast]:
    """The primary contrasts that further pairs may still show to be different, or alike."""
    return [contrast for _, contrast in primary_of(record.places) if not contrast.decided]
