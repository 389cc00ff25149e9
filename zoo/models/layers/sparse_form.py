"""The faster form of a sparse product on a device, by a measurement."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import cast

import torch

from zoo.models.layers.sparse import FORMS, Form, Sparse
from zoo.shard import of_first_process

ROUNDS, PASSES = 3, 10
MEASURED: dict[tuple[object, ...], Form] = {}  # in this process, by device, sizes and columns

Seconds = Callable[[Callable[[], object]], float]


def product_form(matrix: Sparse, columns: int) -> Form:
    """The form in which the products of a run are computed.

    On the CPU it is `gather`, which was faster for every graph that was measured, so that a run
    depends on no clock; where kernels must repeat bit for bit `csr`; on a GPU the one that is
    `fastest`, measured once in a process for each size; of several processes the first decides.

    Args:
        matrix: on the device of the run.
        columns: of what it is multiplied with.
    """
    device = matrix.value.device
    if device.type == "cpu":
        return "gather"
    if torch.are_deterministic_algorithms_enabled():
        return "csr"
    kind = (device, matrix.shape, len(matrix.value), columns)
    if kind not in MEASURED:
        MEASURED[kind] = cast("Form", of_first_process(fastest(matrix, columns)))
    return MEASURED[kind]


def fastest(matrix: Sparse, columns: int, seconds: Seconds | None = None) -> Form:
    """The form whose product, with its gradient, takes the least time.

    Args:
        matrix: `[N, M]` on the device.
        columns: of what it is multiplied with.
        seconds: the time of a call; None: the clock's, until the device has done its work.
    """
    costs = {
        form: (seconds or timed)(training_product(matrix.taking(form), columns)) for form in FORMS
    }
    return min(FORMS, key=costs.__getitem__)


def training_product(matrix: Sparse, columns: int) -> Callable[[], object]:
    """A product and its gradient, as a function without arguments."""
    dense = matrix.value.new_ones(matrix.shape[1], columns, requires_grad=True)
    grad = matrix.value.new_ones(matrix.shape[0], columns)
    return lambda: torch.autograd.grad(matrix @ dense, dense, grad)


def timed(call: Callable[[], object]) -> float:
    """The seconds of ten calls on the GPU, the least of three rounds after a first call."""
    call()
    rounds = []
    for _ in range(ROUNDS):
        torch.cuda.synchronize()
        began = time.perf_counter()
        for _ in range(PASSES):
            call()
        torch.cuda.synchronize()
        rounds.append(time.perf_counter() - began)
    return min(rounds)
