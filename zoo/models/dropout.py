"""Dropout that does not dominate a small net's step on the CPU."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def dropout(x: Tensor, p: float, training: bool) -> Tensor:
    """As `torch.nn.functional.dropout`, with the CPU's masks drawn from 16 random bits an element.

    PyTorch draws 53 bits for each, which takes several times as long as the product that follows.
    The rate is rounded to a multiple of 2^-16.

    Args:
        x: any shape.
        p: share of elements set to zero; the others are divided by 1 - p.
        training: whether anything is dropped.

    >>> dropout(torch.ones(2), 0.0, True)
    tensor([1., 1.])
    """
    if not training or not p:
        return x
    if x.device.type != "cpu" or torch.compiler.is_compiling():
        return F.dropout(x, p)
    words = torch.empty(-(-x.numel() // 4), dtype=torch.int64)
    bits = words.random_(-(2**63), None).view(torch.int16)[: x.numel()].view(x.shape)
    keep = bits >= round(p * 2**16) - 2**15
    return x * keep.to(x.dtype).mul_(1 / (1 - p))
