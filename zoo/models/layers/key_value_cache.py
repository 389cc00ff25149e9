"""The keys and values of a text that was read so far."""

from __future__ import annotations

import torch
from torch import Tensor


class KeyValueCache:
    """Keys and values of the tokens that a model has read, so that it reads each of them once.

    Args:
        blocks: number of attentions.
        shape: batch, heads, context and width of a head.
        like: gives device and dtype.

    Attributes:
        length: tokens read so far.
    """

    def __init__(self, blocks: int, shape: tuple[int, int, int, int], like: Tensor):
        self.blocks = [like.new_empty(2, *shape) for _ in range(blocks)]
        self.length = 0

    def extend(self, block: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Stores keys and values of new tokens and returns those of all tokens so far.

        Args:
            block: number of the attention, from 0.
            key: `[B, H, T, D]` of T new tokens.
            value: the same shape.

        Returns:
            Keys and values `[B, H, length + T, D]`. The model adds T to `length` at its end.
        """
        stop = self.length + key.shape[2]
        stored = self.blocks[block]
        stored[:, :, :, self.length : stop] = torch.stack((key, value))
        return stored[0, :, :, :stop], stored[1, :, :, :stop]
