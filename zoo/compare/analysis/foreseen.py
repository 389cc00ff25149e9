"""What a report says of the plan that was locked before the first run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass
class Look:
    """A look at results.

    Args:
        time: in UTC, as ISO 8601 has it.
        pairs: that were seen, the most at any place.
        claims: whether a verdict was possible then.
    """

    time: str
    pairs: int
    claims: bool


@dataclass(frozen=True, kw_only=True)
class Foreseen:
    """A locked plan in short.

    Args:
        digest: its name, which no other plan has.
        head: digest of the plan and of all that happened to it so far.
        begun: when it was locked, in UTC.
        pairs: the most that it runs.
        stopping: when it ends, in words.
        hypotheses: those that are corrected for each other: place, arm and baseline.
        slopes: hypotheses on the growth with depth: family, arm and baseline.
        tune_seeds: number of the seeds of tuning; 0 where nothing is tuned.
        grid: of tuning: factors of the configured value, and how far it goes on beyond an end.
        power: how likely a difference is shown that lies one standard deviation beyond the
            smallest effect.
        looks: at the results, so far.
        notes: what changed or is known without being a departure, in words.
    """

    digest: str
    head: str
    begun: str
    pairs: int
    stopping: str
    hypotheses: list[list[str]]
    slopes: list[list[str]]
    tune_seeds: int
    grid: dict[str, Any]
    power: float
    looks: list[Look]
    notes: list[str]
