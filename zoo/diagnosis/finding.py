"""What a diagnosis says: findings, each with its cause, its place, its evidence and a cure."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

CAUSES = {
    "non_finite": "numbers that are not finite arise here",
    "exploding_activations": "activations grow out of bounds",
    "fp16_overflow": "activations come near the largest number of half precision",
    "vanishing_gradients": "the gradient is lost on its way to the first branches",
    "exploding_gradients": "the gradient grows on its way to the first branches",
    "broken_identity": "something on the skip changes the stream or stops its gradient",
    "missing_add": "a block lacks the skip that its siblings have",
    "double_add": "the skip is added twice",
    "stream_growth": "the stream grows from write to write, so that late branches count little",
    "collapsed_features": "all examples, tokens or nodes have become alike",
    "idle_branch": "a branch adds next to nothing and does not learn to",
    "step_too_large": "an update changes weights by a large part of their size",
    "step_too_small": "updates are too small to change the weights",
    "equal_units": "units are alike and stay so",
    "dead_units": "units answer zero to every example",
    "saturated_units": "units stand at the flat ends of their activation",
    "stale_batchnorm": "running statistics do not fit the data",
    "tiny_batch_norm": "statistics are taken of too few values",
    "unused_parameters": "parameters do not influence the loss",
    "bias_before_norm": "a bias is taken out again by the norm that follows",
    "decayed_norms": "weight decay pulls norms and biases to zero",
}  # what each means; in the order of their findings, roots before what follows from them


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a net.

    Args:
        cause: a key of `CAUSES`.
        where: path of the module, empty for the whole net.
        value: the number that shows it.
        limit: what it should not pass.
        evidence: the number in words.
        cure: what to do, in one line.
    """

    cause: str
    where: str
    value: float
    limit: float
    evidence: str
    cure: str

    def plain(self) -> dict[str, Any]:
        """Its fields for a record; a value that is not finite is None, since JSON has no such."""
        return {**asdict(self), "value": finite(self.value)}

    def __str__(self) -> str:
        at = f" at {self.where}" if self.where else ""
        return f"{self.cause}{at}: {self.evidence} -- {self.cure}"


def finite(value: float | None) -> float | None:
    """A number, or None where it is not finite."""
    return value if value is not None and math.isfinite(value) else None
