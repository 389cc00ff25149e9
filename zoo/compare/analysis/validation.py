"""What tuning sees of a run: its primary metric on validation, and nothing of its test part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zoo.compare.analysis.runs import Number, Run
from zoo.compare.typed import typed
from zoo.errors import DataError
from zoo.run_folder import ENDED, RunFolder


@dataclass(kw_only=True)
class Validation:
    """All that tuning may see of a run: nothing of its test part is among it.

    Args:
        metric: the primary one, on validation.
        higher_is_better: whether a larger value is better.
        score: at the last step; None where the run diverged.
        chance: score of guessing; None where it is not known.
        seconds: that it took.
    """

    metric: str
    higher_is_better: bool
    score: Number | None
    chance: Number | None
    seconds: Number

    @property
    def trained(self) -> bool:
        """Whether the run came to its end, better than chance."""
        if self.score is None or self.chance is None:
            return self.score is not None
        return self.score > self.chance if self.higher_is_better else self.score < self.chance


def validation_of(id: str, folders: Sequence[Path]) -> Validation | None:
    """What tuning may see of a run, from the first folder that has it; None without a result.

    Args:
        id: address of the run.
        folders: of comparisons.

    Errors:
        DataError: a value in the result is missing or has a wrong type.
    """
    for folder in (RunFolder(folder / "cells" / id) for folder in folders):
        row = folder.result()
        if row.get("status") in ENDED:
            try:
                return typed(Validation, of_validation(row))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                what = f"the result has no score on validation: {error}"
                fix = "remove the folder of this run; the comparison's command runs it again"
                raise DataError(what, str(folder.path), fix) from None
    return None


def of_validation(row: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a result that tuning may see."""
    metric = f"val/{row['primary']['name'].partition('/')[2]}"
    diverged = row["status"] == "diverged"
    return {
        "metric": metric,
        "higher_is_better": row["primary"]["higher_is_better"],
        "score": None if diverged else row["metrics"][metric],
        "chance": row["chance"].get(metric),
        "seconds": row["seconds"],
    }


def with_validation(run: Run, folders: Sequence[Path], reason: str) -> Run:
    """A run of tuning as it ended, with its score on validation as its value.

    Args:
        run: as it was planned.
        folders: of comparisons.
        reason: why it failed; empty: it did not.
    """
    seen = validation_of(run.id, folders)
    if seen is None:
        return replace(run, status="failed", reason=reason) if reason else run
    return replace(
        run,
        status="diverged" if seen.score is None else "done",
        metric=seen.metric,
        higher_is_better=seen.higher_is_better,
        value=seen.score,
        chance=seen.chance,
        seconds=seen.seconds,
    )
