"""What the streams of one pair do by depth, at the deepest place of every family."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from typing_extensions import TypedDict

from zoo.compare.analysis.aggregate import families, grouped
from zoo.compare.analysis.runs import Number, Run
from zoo.compare.analysis.summaries import PlaceSummary
from zoo.compare.typed import typed
from zoo.run_folder import STREAM

UNPROBED = "its run was not probed"
DIVERGED = "it diverged, so that only its start was probed"


class ByDepth(TypedDict):
    """What one pass of a net with L writes shows; None where a number is not finite.

    Args:
        stream: `[L + 1]`, size of the stream before every write and after the last one.
        gradient: `[L + 1]`, norm of the gradient of the loss there.
        share: `[L]`, size of what a branch writes over that of the stream before it.
        collapse: `[L + 1]`, how alike what the stream holds has become.
    """

    stream: list[Number | None]
    gradient: list[Number | None]
    share: list[Number | None]
    collapse: list[Number | None]


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What `stream.json` of a run holds.

    Args:
        batch: digest of the numbers of the training batch and of its examples.
        measure: name of the measure of collapse.
        start: as training begins; None where it was not probed.
        end: with the weights of the last step; None where it was not probed.
        seconds: that the probes took.
        reason: why one of them is missing.
    """

    batch: str = ""
    measure: str = ""
    start: ByDepth | None = None
    end: ByDepth | None = None
    seconds: Number = 0.0
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class StreamOfRun:
    """What the stream of a run does.

    Args:
        place: title of its place.
        arm: name of its arm.
        pair: number of its pair.
        seed: of all its random draws.
        id: its address.
        data: digest of its data.
        seconds: that it took, without the probe of its end.
        seen: at the start and at the end.
    """

    place: str
    arm: str
    pair: int
    seed: int
    id: str
    data: str | None = None
    seconds: Number | None = None
    seen: Seen = field(default_factory=Seen)


def streams_of(
    places: Sequence[PlaceSummary], runs: Sequence[Run], folders: Sequence[Path]
) -> list[StreamOfRun]:
    """What the streams of all arms do at every deepest place, in the first pair that was probed.

    Empty for a place at which no run was.

    Args:
        places: of the comparison.
        runs: of the comparison.
        folders: of comparisons, which hold the runs.
    """
    deepest = [members[-1].title for _, members in families(places)]
    every: list[StreamOfRun] = []
    for place in deepest:
        ended = [run for run in runs if run.place == place and run.ended]
        for _, pair in sorted(grouped(ended, lambda run: run.pair)):
            known = [seen_in(run, folders) for run in pair]
            if any(known):
                every += [
                    StreamOfRun(
                        place=run.place,
                        arm=run.arm,
                        pair=run.pair,
                        seed=run.seed,
                        id=run.id,
                        data=run.data_digest,
                        seconds=run.seconds,
                        seen=seen or Seen(reason=UNPROBED),
                    )
                    for run, seen in zip(pair, known, strict=True)
                ]
                break
    return every


def seen_in(run: Run, folders: Sequence[Path]) -> Seen | None:
    """What the folder of a run tells of its stream; None where that was not probed."""
    for folder in folders:
        file = folder / "cells" / run.id / STREAM
        if file.is_file():
            try:
                seen = typed(Seen, json.loads(file.read_text(encoding="utf-8")))
            except (OSError, ValueError) as error:
                return Seen(reason=f"{STREAM} cannot be read: {error}")
            lost = run.status == "diverged" and not seen.reason
            return replace(seen, reason=DIVERGED) if lost else seen
    return None
