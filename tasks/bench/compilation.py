"""How long a net is compiled by its depth: write by write, each kind once, and as a whole.

What is timed is the first training step of the compiled net, which compiles forward and backward
pass, less the second one: the CPU time of the process and of the compilers that it starts, without
any cache.
"""

from __future__ import annotations

import copy
import resource
from typing import Any

import torch
from tqdm import tqdm

from tasks.bench.conditions import one_process
from tasks.training.build import build_task
from tasks.training.compiling import compile_model
from zoo.config.config import Config
from zoo.errors import ConfigError
from zoo.report import Report

DEPTHS = {"cnn": (26, 50, 98), "transformer": (12, 24, 48)}  # each with 12, 24 and 48 blocks
WAYS: dict[str, Any] = {"trainer.compile=true": True, "trainer.compile=whole": "whole"}


def table(record: dict[str, Any]) -> str:
    """The record as a table: seconds by depth, and those of the deepest to the shallowest net."""
    lines = [f"| depth | {' | '.join(record['seconds'])} |", "| --- " * (len(WAYS) + 1) + "|"]
    for i, depth in enumerate(record["depths"]):
        cells = " | ".join(f"{times[i]:.1f} s" for times in record["seconds"].values())
        lines.append(f"| {depth} | {cells} |")
    ratios = " | ".join(f"{times[-1] / times[0]:.2f}" for times in record["seconds"].values())
    lines.append(f"| last to first | {ratios} |")
    lines.append(f"CPU time of forward and backward pass, no cache, torch {torch.__version__}")
    return "\n".join(lines)


def bench(config: Config) -> Report:
    """Measures the compilation of one task's net at growing depths."""
    one_process(config)
    task = config.choices["task"]
    if task not in DEPTHS or config.sections["trainer"]["compile"]:
        fix = f"add task={task if task in DEPTHS else 'cnn'}, and leave trainer.compile out"
        raise ConfigError(f"both ways are measured, for {' and '.join(DEPTHS)}", "bench", fix)
    if config.words("model.depth"):
        what = f"the depths are {', '.join(map(str, DEPTHS[task]))}"
        raise ConfigError(what, "bench of=compile", "leave model.depth out")
    seconds(config, DEPTHS[task][0], True)  # the compiler itself is loaded once
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    for depth in tqdm(DEPTHS[task], unit="depth", disable=None):
        for way, how in WAYS.items():
            times[way].append(seconds(config, depth, how))
    record = {"depths": DEPTHS[task], "seconds": times}
    return Report(record, table(record))


def seconds(config: Config, depth: int, how: Any) -> float:
    """The CPU time of compiling a training step of a fresh net.

    Args:
        config: of the task.
        depth: of the net.
        how: as `trainer.compile`.
    """
    from torch._inductor import config as inductor
    from torch._inductor.utils import fresh_cache

    variant = copy.deepcopy(config)
    variant.sections["model"]["depth"] = depth
    task = build_task(variant)
    task.setup("fit")
    batch = next(iter(task.train_loader()))
    steps = []
    torch.compiler.reset()
    with fresh_cache(), inductor.patch(compile_threads=1):  # whose compilers are seen to end
        compile_model(task.model, how)
        for _ in range(2):
            before = cpu_seconds()
            task.loss(batch).backward()
            steps.append(cpu_seconds() - before)
    return steps[0] - steps[1]


def cpu_seconds() -> float:
    """The CPU time of this process and of its children that have ended."""
    used = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)
