"""The memory of this process: its peak in a run, and blocks that a next step can use again."""

from __future__ import annotations

import contextlib
import ctypes
import resource
import sys
from pathlib import Path

import torch

from zoo.system.machine_memory import physical_bytes

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # their numbers in glibc's malloc.h
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def keep_freed_memory() -> None:
    """Lets glibc keep what a step frees; by default much of it goes back to the kernel.

    The next step would get it again page by page, thousands of times. It holds for the rest of
    the process. Most blocks of 32 MiB and more, glibc's own highest threshold, still go back.
    """
    mallopt = getattr(LIBC, "mallopt", None)  # other C libraries have none
    if mallopt:
        mallopt(TRIM_THRESHOLD, 2**31 - 1)
        mallopt(MMAP_THRESHOLD, 2**25)


def forget_peak_memory() -> None:
    """Starts the peak anew, since a process may train several runs; on Linux and on GPUs."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    malloc_trim = getattr(LIBC, "malloc_trim", None)
    if malloc_trim:
        malloc_trim(0)
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory_bytes() -> int:
    """The most memory that this process has held: of the GPU where one is used."""
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return torch.cuda.max_memory_allocated()
    with contextlib.suppress(OSError):
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale


def memory_bytes() -> tuple[int, str]:
    """The memory of the device whose peak `peak_memory_bytes` gives, and the device's name."""
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        gpu = torch.cuda.get_device_properties(torch.cuda.current_device())
        return gpu.total_memory, gpu.name
    return physical_bytes(), "this machine"
