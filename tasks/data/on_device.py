"""Data on a device: whether it has room, and one copy for all runs of a process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import torch

from zoo.system.machine_memory import gpu_share, physical_bytes

SHARE = 0.25  # of the memory that a run has of a device, for data that can be read from files
Copy = TypeVar("Copy")


def room_on(device: torch.device) -> float:
    """The bytes of a device that data of files may take: 0 of the CPU, which reads the files.

    Of a GPU that workers of a comparison share, each one has its part.
    """
    if device.type == "cpu":
        return 0
    if device.type == "cuda":
        return SHARE * gpu_share() * torch.cuda.get_device_properties(device).total_memory
    return SHARE * physical_bytes()


class OnDevice(Generic[Copy]):
    """What lies on one device at a time, where all runs of this process that need it share it."""

    def __init__(self) -> None:
        self.device: torch.device | None = None
        self.copy: Copy | None = None

    def __call__(self, device: torch.device, bring: Callable[[], Copy]) -> Copy:
        """The copy on a device, brought there at the first call; one elsewhere is given up."""
        if self.copy is None or self.device != device:
            self.copy = None
            self.copy, self.device = bring(), device
        return self.copy
