"""Dropout that does not dominate a small net's step on the CPU."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo import shard
from zoo.shard import drawn


def dropout(x: Tensor, p: float, training: bool) -> Tensor:
    """As `torch.nn.functional.dropout`, with the CPU's masks drawn from 16 random bits an element.

    PyTorch draws 53 bits for each, which takes several times as long as the product that follows.
    The rate is rounded to a multiple of 2^-16. Of several processes each draws for the whole batch
    and takes its rows.

    Args:
        x: any shape; with several processes that share a batch the first axis is the batch.
        p: share of elements set to zero; the others are divided by 1 - p.
        training: whether anything is dropped.

    >>> dropout(torch.ones(2), 0.0, True)
    tensor([1., 1.])
    """
    if not training or not p:
        return x
    if x.device.type == "cpu" and not torch.compiler.is_compiling():
        keep = drawn(random_words, x.shape) >= round(p * 2**16) - 2**15
        return x * keep.to(x.dtype).mul_(1 / (1 - p))
    if shard.current.world == 1:
        return F.dropout(x, p)
    return x * drawn(lambda shape: F.dropout(x.new_ones(shape), p), x.shape)


def random_words(shape: Sequence[int]) -> Tensor:
    """Uniform int16 of a shape."""
    count = math.prod(shape)
    words = torch.empty(-(-count // 4), dtype=torch.int64)
    return words.random_(-(2**63), None).view(torch.int16)[:count].view(*shape)
