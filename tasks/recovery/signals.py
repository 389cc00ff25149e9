"""Signals that end a run at the end of a step."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any


class SignalHandler:
    """Notes a signal and lets the step end; a second one stops at once."""

    SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)

    def __init__(self) -> None:
        self.received: int | None = None
        self.previous: dict[int, Any] = {}

    def __enter__(self) -> SignalHandler:
        self.previous = {number: signal.getsignal(number) for number in self.SIGNALS}
        self.listen()
        return self

    def listen(self) -> None:
        """Takes the signals, also from Lightning, which would end the run with exit code 0."""
        for number in self.SIGNALS:
            signal.signal(number, self.note)

    def __exit__(self, *_: object) -> None:
        for number, handler in self.previous.items():
            signal.signal(number, handler)

    def note(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            raise KeyboardInterrupt
        self.received = number
