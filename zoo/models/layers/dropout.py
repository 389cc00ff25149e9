"""Dropout that is fast on the CPU and the same for any number of processes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo import shard
from zoo.shard import drawn


def dropout(x: Tensor, p: float, training: bool) -> Tensor:
    """x with elements set to zero at random, as by `torch.nn.functional.dropout`.

    On the CPU masks are drawn from 16 random bits an element, and the rate is rounded to a multiple
    of 2^-16; PyTorch draws 53 bits, which takes several times as long as the product that follows.
    Of several processes each draws for the whole batch and takes its rows.

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
        keep = drawn(random_words, x.shape).ge_(round(p * 2**16) - 2**15)  # 0 or 1 in 16 bits
        return x * keep.to(x.dtype).mul_(1 / (1 - p))
    if shard.current.world == 1:
        return F.dropout(x, p)
    return x * drawn(lambda shape: F.dropout(x.new_ones(shape), p), x.shape)


def random_words(shape: Sequence[int]) -> Tensor:
    """Uniformly random int16 of a shape."""
    count = math.prod(shape)
    words = torch.empty(-(-count // 4), dtype=torch.int64)
    return words.random_(-(2**63), None).view(torch.int16)[:count].view(*shape)
