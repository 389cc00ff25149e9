"""The history of a plan: events of which each is bound to all before it, as links of a chain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from zoo.compare.design.axes import Values
from zoo.compare.design.cell import digest


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened to a plan.

    Args:
        kind: a look at results, a departure from the plan, a change of it that is none, or a note.
        time: in UTC, as ISO 8601 has it.
        words: what departed, changed or is noted.
        pairs: that a look showed, the most at any place.
        claims: whether a verdict was possible at a look.
        plan: parts of the plan that a change replaced, with their new values.
    """

    kind: Literal["look", "departure", "change", "note"]
    time: str
    words: str = ""
    pairs: int = 0
    claims: bool = False
    plan: dict[str, Any] = field(default_factory=dict)

    def plain(self) -> Values:
        """The event as JSON, without what it has none of."""
        return {key: value for key, value in asdict(self).items() if value}


def heads(first: Values, events: Iterable[Event]) -> Iterator[str]:
    """The digest of a beginning, and after each event one of the event and the digest before it.

    None can be left out, changed or moved without another digest at the end.

    Args:
        first: what there was before the first event.
        events: since then.
    """
    head = digest(first)
    yield head
    for event in events:
        head = digest({"before": head, **event.plain()})
        yield head


def now() -> str:
    """The time in UTC, to the millisecond: two plans of one folder differ by it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
