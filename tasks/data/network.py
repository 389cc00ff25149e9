"""Requests to servers that may not answer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

Answer = TypeVar("Answer")
SECONDS = 8.0  # until a server must have begun to answer


def answer_within(seconds: float, ask: Callable[[], Answer]) -> Answer:
    """What a request returns; TimeoutError if it takes longer, whatever it waits for.

    It runs in a thread, since looking up a name and trying all addresses of a server have no limit
    of their own.

    Args:
        seconds: the limit.
        ask: the request.
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
