"""Signals that end a run at the end of a step."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

from zoo.system.launch import launch


class SignalHandler:
    """Notes a signal and lets the step end; a second one stops at once.

    Signals are for the main thread: a run in another one hears of none.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)

    def __init__(self) -> None:
        self.received: int | None = None
        self.previous: dict[int, Any] = {}

    def __enter__(self) -> SignalHandler:
        main = threading.current_thread() is threading.main_thread()
        heard = self.SIGNALS if main else ()
        self.previous = {number: signal.getsignal(number) for number in heard}
        self.listen()
        return self

    def listen(self) -> None:
        """Takes the signals, also from Lightning, which would end the run with exit code 0."""
        for number in self.previous:
            signal.signal(number, self.note)

    def __exit__(self, kind: object, *_: object) -> None:
        """Gives the signals back; a failed process that another program started tells why first."""
        for number, handler in self.previous.items():
            if not (kind and launch().by):
                signal.signal(number, handler)

    def note(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            raise KeyboardInterrupt
        self.received = number
