"""What a report says of the plan that was locked before the first run."""

from __future__ import annotations

from dataclasses import dataclass


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
        begun: when it was locked, in UTC.
        pairs: the most that it runs.
        stopping: when it ends, in words.
        hypotheses: those that are corrected for each other: place, arm and baseline.
        power: how likely a difference is shown that lies one standard deviation beyond the
            smallest effect.
        looks: at the results, so far.
    """

    digest: str
    begun: str
    pairs: int
    stopping: str
    hypotheses: list[list[str]]
    power: float
    looks: list[Look]
