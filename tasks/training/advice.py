"""Advice where a batch is too small for its norms, or a run too large for its machine."""

from __future__ import annotations

import re

from torch.nn.modules.batchnorm import _BatchNorm

from tasks.training.module import Task
from tasks.training.process_memory import memory_bytes, peak_memory_bytes
from zoo.config.config import Config
from zoo.errors import ResourceError

FEW = 8  # images of a batch under which batch norm costs points of error, group norm none
WANTED = re.compile(r"[Tt]ried to allocate ([\d.]+) ?(bytes|[KMGT]iB)")  # PyTorch's words


def small_batch(task: Task) -> list[str]:
    """Returns a warning where batch norms take their statistics from few examples, else none.

    Source: Wu and He 2018, Group Normalization, arXiv:1803.08494, table 2 (ResNet-50 on ImageNet,
    error in percent with batches of 32, 16, 8, 4, 2: batch norm 23.6, 23.7, 24.8, 27.3, 34.7,
    group norm 24.0 to 24.2).
    """
    normed = any(isinstance(module, _BatchNorm) for module in task.model.modules())
    if not normed or task.batch_size is None or task.batch_size >= FEW:
        return []
    few = f"batch norm takes its statistics from {task.batch_size} examples a step"
    return [f"{few}; below {FEW} that costs accuracy, and model.norm=group does not need them"]


def no_faster(task: Task, processes: int) -> list[str]:
    """Returns a warning where several processes do the work of one each, else none."""
    if processes == 1 or not task.undivided:
        return []
    whole = f"each of the {processes} processes computes {task.undivided}"
    return [f"{whole}: the loss is shared, the time is not, so one device is as fast"]


def out_of_memory(config: Config, task: Task, message: str) -> ResourceError:
    """Returns the error of a run that ran out of memory: how much it needed, and what to lower.

    Args:
        config: of the run.
        task: that was trained or evaluated.
        message: what PyTorch said.
    """
    peak, total, where = peak_memory_bytes(), *memory_bytes()
    wanted = WANTED.search(message)
    size = as_gigabytes(*wanted.groups()) if wanted else ""
    more = f", and {size} more were asked for" if size else ""
    batch = f" with a batch of {task.batch_size}" if task.batch_size else ""
    used = f"the peak was {peak / 1e9:.2f} of {total / 1e9:.2f} GB{more}"
    return ResourceError(f"out of memory{batch}: {used}", where, f"try {remedies(config)}")


def as_gigabytes(number: str, unit: str) -> str:
    """A size of PyTorch's messages in the unit of the others.

    >>> as_gigabytes("2.20", "GiB"), as_gigabytes("52428800", "bytes"), as_gigabytes("20.00", "MiB")
    ('2.36 GB', '0.05 GB', '0.02 GB')
    """
    power = ("bytes", "KiB", "MiB", "GiB", "TiB").index(unit)
    return f"{float(number) * 1024**power / 1e9:.2f} GB"


def remedies(config: Config) -> str:
    """The options that lower the memory of a run and are not used yet, the cheapest first."""
    sections = config.sections
    precision, batch = sections["trainer"]["precision"], sections["data"].get("batch_size")
    tried = {
        "trainer.precision=bf16-mixed": precision == "32-true",
        "model.checkpoint=true": not sections["model"].get("checkpoint", True),
        "task.sampling=clusters": sections["task"].get("sampling") == "none",
        f"data.batch_size={(batch or 2) // 2} with trainer.accumulate="
        f"{2 * sections['trainer']['accumulate']}": bool(batch and batch > 1),
        "a smaller model.width": True,
    }
    return ", ".join(words for words, useful in tried.items() if useful)
