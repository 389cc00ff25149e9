"""How exactly a GPU multiplies in float32."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any, Literal

import torch

Matmul = Literal["highest", "high", "medium"]
BACKENDS = torch.backends


def operations() -> tuple[Any, ...]:
    """PyTorch's settings of one kind of product each."""
    cudnn: Any = BACKENDS.cudnn
    mkldnn: Any = BACKENDS.mkldnn
    return BACKENDS.cuda.matmul, mkldnn.matmul, cudnn.conv, cudnn.rnn


def set_products(matmul: Matmul, convolutions: bool) -> None:
    """Sets matrix products, and whether convolutions round to TF32.

    PyTorch has an older way to say so, which Lightning and Inductor read, and one by operation.
    The older one sets both; it warns in some versions, and what only the newer one has set cannot
    be read by the older.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Please use the new API settings")
        torch.set_float32_matmul_precision(matmul)
        BACKENDS.cudnn.allow_tf32 = convolutions


@contextlib.contextmanager
def float32_products(matmul: Matmul) -> Iterator[None]:
    """Within, products of float32 are as exact as asked for; the settings of before come back.

    Args:
        matmul: `highest`: all in float32. `high`: a GPU multiplies matrices and convolutions in
            TF32, whose factors have 10 bits behind the point, and sums up in float32. `medium`:
            PyTorch may take bfloat16 for the factors.
    """
    before, older = [each.fp32_precision for each in operations()], None
    with contextlib.suppress(RuntimeError), warnings.catch_warnings():  # both ways were mixed
        warnings.simplefilter("ignore")
        older = torch.get_float32_matmul_precision(), BACKENDS.cudnn.allow_tf32
    set_products(matmul, matmul != "highest")
    try:
        yield
    finally:
        if older:
            set_products(*older)  # type: ignore[arg-type]
        for each, precision in zip(operations(), before, strict=True):
            each.fp32_precision = precision
