"""The memory of this machine, and what cannot fit into it."""

from __future__ import annotations

import os

import torch

from zoo.errors import ConfigError

GPU_SHARE = "ZOO_GPU_SHARE"  # a variable of workers


def physical_bytes() -> int:
    """The memory of this machine; 0 where it does not say."""
    if not hasattr(os, "sysconf"):  # on Windows
        return 0
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def gpu_share() -> float:
    """The part of a GPU that this process has: all, unless workers of a comparison share it."""
    return float(os.environ.get(GPU_SHARE, 1))


def refuse_beyond_memory(needed: int, what: str, where: str) -> None:
    """ConfigError where something has more bytes than this machine, with all its GPUs, can hold.

    Args:
        needed: bytes, of what must lie in memory at once.
        what: needs them.
        where: the key, for the message.
    """
    gpus = range(torch.cuda.device_count())
    available = sum(torch.cuda.get_device_properties(gpu).total_memory for gpu in gpus)
    available += physical_bytes()
    if physical_bytes() and needed > available:
        sizes = f"{needed / 1e9:,.0f} GB of memory, and this machine has {available / 1e9:,.0f}"
        raise ConfigError(f"{what} would take {sizes}", where, "choose a smaller size")
