"""When a net is looked at, so that looks cost a small share of the time of training."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Pace:
    """Counts the time of looks: at some steps they are fixed, at others they must be afforded.

    >>> pace = Pace(share=0.1)
    >>> pace.begin(step=0, now=0.0)
    >>> [step for step in range(2000) if pace.fixed(step)]
    [0, 10, 100, 1000]
    >>> pace.spent(3.0)
    >>> pace.affords(now=59.0), pace.affords(now=60.0)
    (False, True)

    Args:
        share: most of the time that looks may take, the next one included.

    Attributes:
        first: step at which the time begins.
        began: when that was, in seconds.
        looked: seconds of all looks since.
        last: seconds of the last one.
    """

    share: float
    first: int = 0
    began: float = 0.0
    looked: float = 0.0
    last: float = 0.0

    def begin(self, step: int, now: float) -> None:
        """Begins at a step."""
        self.first, self.began, self.looked, self.last = step, now, 0.0, 0.0

    def fixed(self, step: int) -> bool:
        """Whether a step is looked at in any case: the first one, and 10, 100, 1000, ..."""
        return step == self.first or (step > 1 and step == 10 ** (len(str(step)) - 1))

    def affords(self, now: float) -> bool:
        """Whether one more look as long as the last one stays within the share."""
        return self.looked + self.last <= self.share * (now - self.began)

    def spent(self, seconds: float) -> None:
        """Notes the time of a look."""
        self.looked, self.last = self.looked + seconds, seconds
