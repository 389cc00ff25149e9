"""Questions to a network that may not be there."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

Answer = TypeVar("Answer")
SECONDS = 8.0  # for the first sign of a server


def within(seconds: float, ask: Callable[[], Answer]) -> Answer:
    """The answer to a question; TimeoutError after these seconds, whatever it waits for.

    It is asked in a thread, since looking up a name and trying all addresses of a server have no
    limit of their own.
    """
    answer: Future[Answer] = Future()

    def wait() -> None:
        try:
            answer.set_result(ask())
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=wait, name="zoo-network", daemon=True).start()
    try:
        return answer.result(seconds)
    except TimeoutError:
        if answer.done():  # its own
            raise
        raise TimeoutError(f"no answer in {seconds:g} s") from None
