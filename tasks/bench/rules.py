"""What every connection costs: time and memory of a training step against `residual`.

Steps of a rule and of `residual` are timed in turn, in process CPU time, so that a drift of the
machine falls on both. Memory is the most that was alive at once in an eager step, without the
parameters, their gradients and the optimiser's state.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from tasks.bench.conditions import one_process
from tasks.training.build import build_task, build_trainer_options
from tasks.training.compiling import compile_model
from zoo.config import registry
from zoo.config.config import Config
from zoo.connection import Connection
from zoo.errors import ConfigError
from zoo.probes.live_bytes import peak_bytes
from zoo.report import Report
from zoo.seeding import redraw

ROUNDS = 9
REFERENCE = "residual"
MANY = 1_000_000  # steps of the schedule, so that its rate stays


def table(record: dict[str, Any]) -> str:
    """The record as a table: time, memory and parameters of every rule."""
    reference = record["rules"][REFERENCE]
    head = (
        f"{REFERENCE}: {reference['ms']:.1f} ms a step, {reference['bytes'] / 2**20:.1f} MiB "
        f"at the peak; {record['sites']} sites, "
        f"{'compiled' if record['compiled'] else 'eager'}, "
        f"{record['threads']} thread(s), torch {torch.__version__}"
    )
    lines = [
        head,
        "",
        "| rule | time | memory | parameters a site |",
        "| --- | --- | --- | --- |",
    ]
    for name, cost in record["rules"].items():
        low, high = cost["time_range"]
        lines.append(
            f"| `{name}` | {cost['time']:.2f} ({low:.2f} to {high:.2f}) | {cost['memory']:.2f} "
            f"| {cost['parameters_a_site']:,.0f} |"
        )
    return "\n".join(lines)


class TimedRule:
    """The task with one rule, whose training step on one batch is timed.

    Args:
        config: of the task.
        name: of the rule.
    """

    def __init__(self, config: Config, name: str):
        self.task = build_task(config.with_choice("connection", name))
        redraw(self.task.model, config.seed)
        self.task.setup("fit")
        self.batch = next(iter(self.task.train_loader()))
        steps = self.task.options.build(self.task.model, MANY, self.task.batch_size)
        self.optimizer = steps["optimizer"]
        self.step()
        self.peak = peak_bytes(lambda: self.task.loss(self.batch))
        compile_model(self.task.model, build_trainer_options(config).compile)
        self.step()

    def step(self) -> float:
        """Takes one training step; returns its milliseconds of process time."""
        began = time.process_time()
        self.optimizer.zero_grad()
        self.task.loss(self.batch).backward()
        self.optimizer.step()
        return 1e3 * (time.process_time() - began)

    def sites(self) -> list[Connection]:
        """The connections of the model."""
        return [m for m in self.task.model.modules() if isinstance(m, Connection)]


def bench(config: Config) -> Report:
    """Measures every registered rule on one task."""
    one_process(config)
    torch._dynamo.config.recompile_limit *= len(registry.names("connection"))  # one code for all
    reference = TimedRule(config, REFERENCE)
    if not reference.sites():
        raise ConfigError("the model has no connections", "bench", "choose a deeper one")
    rules: dict[str, dict[str, Any]] = {}
    for name in tqdm(registry.names("connection"), unit="rule", disable=None):
        rule = TimedRule(config, name)
        pairs = np.array([[reference.step(), rule.step()] for _ in range(ROUNDS)])
        ratios = pairs[:, 1] / pairs[:, 0]
        sites = rule.sites()
        low, high = np.percentile(ratios, [25, 75])
        rules[name] = {
            "ms": float(np.median(pairs[:, 1])),
            "time": float(np.median(ratios)),
            "time_range": [float(low), float(high)],
            "bytes": rule.peak,
            "memory": rule.peak / reference.peak,
            "parameters_a_site": sum(p.numel() for s in sites for p in s.parameters()) / len(sites),
        }
    record = {"rules": rules, "sites": len(reference.sites()), "threads": torch.get_num_threads()}
    record["compiled"] = bool(config.sections["trainer"]["compile"])
    return Report(record, table(record))
