"""What hinders an export or the reading of a file, as one line."""

from __future__ import annotations

import contextlib
import logging
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

from zoo.errors import ConfigError, DataError, is_out_of_memory, shown


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Within, exporters print no warnings of their own."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


@contextlib.contextmanager
def readable(path: Path) -> Iterator[None]:
    """Within, whatever hinders reading a file is a DataError."""
    try:
        yield
    except (ConfigError, DataError):
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"[:160]
        what = f"it cannot be read ({reason})"
        raise DataError(what, shown(str(path)), "name another file") from None


@contextlib.contextmanager
def carried(name: str) -> Iterator[None]:
    """Within, what a format cannot carry is a ConfigError that names the operation."""
    try:
        yield
    except Exception as error:
        if is_out_of_memory(error):
            raise
        text = " ".join(str(error).split())
        operation = re.search(r"aten[.:]+[\w.]+", text)
        reason = operation[0] if operation else f"{type(error).__name__}: {text[:160]}"
        what = f"format={name} cannot carry this net ({reason})"
        raise ConfigError(what, "export", "choose another format") from None
