"""Lanczos' method: the ends of the spectrum of a symmetric matrix that is never built."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from zoo.errors import ConfigError

Vector = list[Tensor]
ROUNDING = 1e-7  # of the Hessian's size; a shorter vector is made of rounding errors


@dataclass(frozen=True)
class Curvature:
    """The largest and the smallest eigenvalue of the Hessian of a loss.

    Args:
        largest: positive unless the loss is concave; its inverse bounds useful learning rates.
        smallest: negative where the loss curves down along some direction, as at a saddle.
        errors: an eigenvalue lies within these distances of the largest and of the smallest.
        steps: that were taken.
    """

    largest: float
    smallest: float
    errors: tuple[float, float]
    steps: int

    @property
    def concave(self) -> float:
        """|smallest| / |largest|, near 0 where the loss looks convex."""
        return abs(self.smallest) / abs(self.largest) if self.largest else 0.0


def lanczos(
    multiply: Callable[[Vector], Vector], vector: Vector, steps: int, tolerance: float
) -> Curvature:
    """The ends of the spectrum of a symmetric matrix.

    Args:
        multiply: the product of the matrix with a vector.
        vector: the first one, random.
        steps: most products.
        tolerance: the relative error at which the search ends.
    """
    diagonal: list[float] = []
    beside: list[float] = []
    length = dot(vector, vector) ** 0.5
    current = [v / length for v in vector]
    last = [torch.zeros_like(v) for v in vector]
    for _ in range(steps):
        product = multiply(current)
        diagonal.append(dot(product, current))
        if not math.isfinite(diagonal[-1]):
            fix = "give a net and a batch whose loss and gradients are finite"
            raise ConfigError("the Hessian is not finite", "hessian", fix)
        back = beside[-1] if beside else 0.0
        following = [
            p - diagonal[-1] * c - back * b for p, c, b in zip(product, current, last, strict=True)
        ]
        length = dot(following, following) ** 0.5
        values, vectors = np.linalg.eigh(
            np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1)
        )
        ends = float(values[-1]), float(values[0])
        errors = float(length * abs(vectors[-1, -1])), float(length * abs(vectors[-1, 0]))
        if all(e <= tolerance * abs(v) for e, v in zip(errors, ends, strict=True)):
            break
        if length <= ROUNDING * max(map(abs, ends)):
            break
        beside.append(length)
        last, current = current, [f / length for f in following]
    return Curvature(*ends, errors, len(diagonal))


def dot(a: Vector, b: Vector) -> float:
    """The inner product of two vectors, summed in double precision."""
    parts = [(x * y).sum(dtype=torch.float64) for x, y in zip(a, b, strict=True)]
    return torch.stack(parts).sum().item()
