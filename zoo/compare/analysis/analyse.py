"""From results to the record of a comparison."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from zoo.compare.analysis import statistics as stats
from zoo.compare.analysis.aggregate import families, grouped
from zoo.compare.analysis.matched import unmatched
from zoo.compare.analysis.pairing import SAME, STARTS, Pairing
from zoo.compare.analysis.record import Arm, Contrast, Declared, Place
from zoo.compare.analysis.runs import WAITING, Run
from zoo.compare.analysis.verdict import Evidence, needed, verdict
from zoo.run_folder import AT_BEST

KEPT = ("parameters", "steps", "seconds", "seconds_per_step", "peak_memory_bytes")


def with_result(run: Run, result: Mapping[str, Any]) -> Run:
    """A run that ended.

    Args:
        run: what is known of it before.
        result: from its folder.
    """
    primary, metrics = result["primary"], result["metrics"]
    name, diverged = primary["name"], result["status"] == "diverged"
    chance, events = result["chance"].get(name), result.get("events", [])
    kept: dict[str, Any] = {key: result[key] for key in KEPT}
    same: dict[str, Any] = {key: result.get(key) for key in SAME}
    return replace(
        run,
        status=result["status"],
        metric=name,
        higher_is_better=primary["higher_is_better"],
        value=chance if diverged else primary["value"],
        train=None if diverged else metrics.get(name.replace("test/", "train/", 1)),
        best=chance if diverged else metrics.get(f"{name}{AT_BEST}"),
        chance=chance,
        examples=result["examples"]["test"],
        reason=result.get("reason", ""),
        events=events,
        spikes=sum(event["kind"] == "spike" for event in events),
        lost_steps=result.get("lost_steps", 0),
        **kept,
        **same,
    )


def contrast(
    runs: Sequence[Run], arm: str, baseline: str, paired: Sequence[str], delta: float
) -> tuple[Contrast, Evidence]:
    """One arm against its baseline at one place, without verdict, and what that will rest on.

    Args:
        runs: of both arms at this place.
        arm: its name.
        baseline: the other one's.
        paired: names of the digests that must be equal in a pair.
        delta: the smallest difference that matters.
    """
    pairing = Pairing.of(runs, arm, baseline)
    found = pairing.differences()
    ours, theirs = pairing.diverged()
    unequal = pairing.unequal(paired)
    both = len(ours) + len(theirs)
    evidence = Evidence(list(found.values()), len(pairing.ours), both, unequal, delta)
    return Contrast(
        arm=arm,
        baseline=baseline,
        **evidence.numbers(),
        seeds=list(found),
        secondary=pairing.secondary(),
        diverged=[len(ours), len(theirs)],
        mcnemar_p=stats.mcnemar_p(len(ours - theirs), len(theirs - ours)),
    ), evidence


def mean(values: Iterable[float | None]) -> float | None:
    """The mean of the values that are known."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def summary(runs: Sequence[Run]) -> Arm:
    """All runs of one arm at one place."""
    values = [run.value for run in runs if run.value is not None]
    ended = [run for run in runs if run.ended]
    waiting = sum(run.status == WAITING for run in runs)
    diverged = sum(run.status == "diverged" for run in runs)
    return Arm(
        arm=runs[0].arm,
        launched=len(runs) - waiting,
        waiting=waiting,
        done=len(ended) - diverged,
        diverged=diverged,
        failed=len(runs) - waiting - len(ended),
        divergence=stats.binomial_interval(diverged, len(ended)) if ended else None,
        mean=mean(values),
        sd=float(np.std(values, ddof=1)) if len(values) > 1 else None,
        train=mean(run.train for run in ended),
        flops=runs[0].flops,
        examples=next((run.examples for run in ended), None),
        parameters=mean(run.parameters for run in ended),
        seconds=mean(run.seconds for run in ended),
        seconds_per_step=mean(run.seconds_per_step for run in ended),
        peak_memory_bytes=mean(run.peak_memory_bytes for run in ended),
    )


def digests(declared: Declared, arm: str, baseline: str) -> tuple[str, ...]:
    """The digests that must be equal in a pair: of branches where only the connection differs."""
    if declared.null:
        return ()
    ours, theirs = (declared.arms.get(name, {}) for name in (arm, baseline))
    apart = {key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key)}
    only = all(key.partition(".")[0] in ("connection", "long") for key in apart)
    return tuple(key for key in SAME if only or key not in STARTS)


def places_of(runs: Sequence[Run], declared: Declared) -> list[Place]:
    """Places with their arms, and contrasts with their verdicts.

    Holm's correction is over the deepest place of every family; shallower ones are exploratory.

    Args:
        runs: in order.
        declared: of the comparison.
    """
    places = []
    evidence: list[tuple[Contrast, Evidence]] = []
    for title, group in grouped(runs, lambda run: run.place):
        arms = {name: summary(own) for name, own in grouped(group, lambda run: run.arm)}
        first = group[0]
        delta = declared.effects.get(first.task, 0.0)
        here = [(a, b) for a, b in declared.baselines.items() if a in arms and b in arms]
        met = [contrast(group, a, b, digests(declared, a, b), delta) for a, b in here]
        evidence += met
        known = next((run for run in group if run.ended), first)
        pairs = [] if declared.null else here  # of a null, seeds are meant to differ
        places.append(
            Place(
                title=title,
                task=first.task,
                family=first.family,
                depth=first.depth,
                settings=first.settings,
                metric=known.metric,
                higher_is_better=known.higher_is_better,
                chance=known.chance,
                arms=list(arms.values()),
                contrasts=[c for c, _ in met],
                warnings=[w for a, b in pairs for w in unmatched(group, arms[a], arms[b])],
            )
        )
    primary = [c for _, own in families(places) for c in own[-1].contrasts]
    adjusted = dict(zip(map(id, primary), stats.holm([c.p for c in primary]), strict=True))
    for found, rests_on in evidence:
        found.exploratory = id(found) not in adjusted
        found.holm_p = adjusted.get(id(found), found.p)
        of = 1 if found.exploratory else len(primary)
        words = verdict(rests_on, found.arm, found.baseline, found.holm_p, of)
        claims = found.exploratory and found.pairs >= needed(1)
        found.verdict = f"{words} (exploratory)" if claims else words
        found.needed = needed(of)
    return places
