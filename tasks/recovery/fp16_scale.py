"""What the scale of fp16 tells of a run: gradients that no scale makes finite."""

from __future__ import annotations

from typing import Any

LEAST = 1.0  # below which a gradient that is not finite is lost


class Fp16Scale:
    """Follows the scale by which the loss is multiplied; every step that is left out halves it.

    Its methods wait for the device.

    Args:
        scaler: PyTorch's, which moves the scale.
    """

    def __init__(self, scaler: Any):
        self.scaler = scaler
        self.last = self.value()  # at the last look

    def value(self) -> float:
        """The scale now."""
        return float(self.scaler.get_scale())

    def fell_too_far(self) -> bool:
        """Whether it fell below 1 since the last look, by the last step among others."""
        state, before = self.scaler.state_dict(), self.last
        self.last = state["scale"]  # a step that is left out also starts the count of the others
        return self.last < min(before, LEAST) and not state["_growth_tracker"]

    def fell_in_all(self, steps: int) -> bool:
        """Whether it fell in every step of a run."""
        lowest = self.scaler._init_scale * self.scaler.get_backoff_factor() ** steps
        return bool(self.value() <= lowest)
