"""Progress on stderr: a bar on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from typing import Any

LINE_SECONDS = 10.0
COLUMNS, ROWS = 80, 24  # of a terminal that does not say how large it is
BAR = "{desc}: {unit} {n_fmt}/{total_fmt} |{bar:20}| {remaining} left{postfix}"


class Progress:
    """Shows how far a run is.

    Args:
        total: steps of the run.
        start: steps that are done already.
        enabled: false in all but the first process.
        unit: what is counted.
    """

    def __init__(self, total: int, start: int = 0, enabled: bool = True, unit: str = "step"):
        self.total, self.unit = total, unit
        self.enabled = enabled
        self.bar: Any = None
        self.shown = time.monotonic()
        self.values: dict[str, float] = {}
        if enabled and sys.stderr.isatty():
            from tqdm import tqdm

            sized = os.get_terminal_size(sys.stderr.fileno()).columns > 0
            size: dict[str, Any] = (
                {"dynamic_ncols": True} if sized else {"ncols": COLUMNS, "nrows": ROWS}
            )
            self.bar = tqdm(
                total=total, initial=start, desc="zoo", unit=unit, bar_format=BAR, **size
            )

    def update(self, step: int, values: Mapping[str, float | None]) -> None:
        """Shows a step and the newest values."""
        if not self.enabled:
            return
        self.values |= {k: v for k, v in values.items() if k.count("/") < 2 and v is not None}
        if self.bar is not None:
            self.bar.set_postfix({k: f"{v:.4g}" for k, v in self.values.items()}, refresh=False)
            self.bar.update(step - self.bar.n)
        elif time.monotonic() - self.shown > LINE_SECONDS:
            self.shown = time.monotonic()
            text = " ".join(f"{name} {value:.4g}" for name, value in self.values.items())
            print(f"zoo: {self.unit} {step}/{self.total} {text}".rstrip(), file=sys.stderr)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
