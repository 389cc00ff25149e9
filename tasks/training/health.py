"""Finds, while a net trains, what keeps it from doing so."""

from __future__ import annotations

import logging
import time
from typing import Annotated, Any

import torch
from annotated_types import Gt, Le
from pytorch_lightning import Trainer
from torch import Tensor

from tasks.training.diagnostics import NoDiagnostics
from tasks.training.loggers import NoLogger
from tasks.training.pace import Pace
from zoo.diagnosis.diagnose import Diagnosis, diagnose
from zoo.diagnosis.finding import finite
from zoo.probes.plots import save
from zoo.probes.stream.plots import stream_figure
from zoo.probes.stream.profile import StreamProfile
from zoo.run_folder import RunFolder

log = logging.getLogger("zoo")


class Health(NoDiagnostics):
    """Diagnoses the net as it trains, and raises each finding once.

    A look is one pass, forward and backward, of the batch that comes next, with the mode and the
    precision of training. It leaves no trace: weights and log are the same to the last bit.
    It takes place before the first step, after 10, 100, 1000, ... steps, and whenever the time of
    all looks stays below `share`. A finding is new by its cause and its place; it becomes a
    message, an alert at W&B, and `figures/health_STEP.png`, the stream at the first look and now.
    A look that fails is the last one, and the run goes on.

    Args:
        share: most of the time of training that looks may take, beside those after 10, 100, 1000,
            ... steps.

    Attributes:
        steps: the steps that were looked at.
        findings: by cause and place, with the first and the last step at which they were seen.
        failure: why no more looks are taken; empty as long as there are.
    """

    state_key = "Health"  # in checkpoints

    def __init__(self, share: Annotated[float, Gt(0), Le(1)] = 0.01):
        self.pace = Pace(share)
        self.steps: list[int] = []
        self.findings: dict[tuple[str, str], dict[str, Any]] = {}
        self.failure = ""
        self.profiles: dict[str, StreamProfile] = {}  # at the first look

    def begin(self, folder: RunFolder | None, logger: NoLogger, every: int, figures: bool) -> None:
        self.folder, self.logger, self.every, self.figures = folder, logger, every, figures

    def record(self) -> dict[str, Any]:
        """The steps that were looked at, and the findings in the order in which they came."""
        findings = [{**each, "value": finite(each["value"])} for each in self.findings.values()]
        return {"health": {"steps": self.steps, "findings": findings, "failure": self.failure}}

    def state_dict(self) -> dict[str, Any]:
        return self.record()["health"]

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.steps = [*state_dict["steps"]]
        self.findings = {(f["cause"], f["where"]): f for f in state_dict["findings"]}

    def on_train_start(self, trainer: Trainer, task: Any) -> None:
        self.pace.begin(trainer.global_step, time.perf_counter())

    def on_train_batch_start(self, trainer: Trainer, task: Any, batch: Any, index: int) -> None:
        whole = index % trainer.accumulate_grad_batches == 0
        if whole and not self.failure and self.due(trainer):
            began = time.perf_counter()
            self.look(trainer, task, batch)
            self.pace.spent(time.perf_counter() - began)

    def due(self, trainer: Trainer) -> bool:
        """Whether this step is looked at, in all processes alike."""
        step = trainer.global_step
        if self.pace.fixed(step) or (trainer.world_size > 1 and step % self.every):
            return self.pace.fixed(step)
        return in_one(trainer, self.pace.affords(time.perf_counter()))

    def look(self, trainer: Trainer, task: Any, batch: Any) -> None:
        """Diagnoses a batch, in all processes at once: their norms may share statistics."""
        step, failure = trainer.global_step, ""
        task.alive()  # for the watchdog
        try:
            with trainer.precision_plugin.forward_context():
                optimizer, clip = trainer.optimizers[0], trainer.gradient_clip_val
                found = diagnose(task, batch, loss_of_share, optimizer, clip)
            if self.folder:
                self.note(step, found, self.folder)
        except Exception as error:
            failure = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            log.warning("step %d: diagnostics are off for this run: %s", step, failure)
        if in_one(trainer, bool(failure)):
            self.failure = failure or "it failed in another process"
        task.alive()

    def note(self, step: int, found: Diagnosis, folder: RunFolder) -> None:
        """Notes what a look has found, and raises what is new.

        Args:
            step: that was looked at.
            found: what is wrong.
            folder: of the run.
        """
        self.steps.append(step)
        new = [f for f in found.findings if (f.cause, f.where) not in self.findings]
        for finding in found.findings:
            first = self.findings.get((finding.cause, finding.where), {"step": step})["step"]
            seen = {**finding.plain(), "step": first, "last_step": step}
            self.findings[finding.cause, finding.where] = seen
        for finding in new:
            log.warning("step %d: %s", step, finding)
            self.logger.alert(finding.cause, f"step {step}: {finding}")
        if found.profile and not self.profiles:
            self.profiles = {f"step {step}": found.profile}
        if found.profile and new and self.figures:
            path = folder.figures / f"health_{step:06d}.png"
            save(stream_figure({**self.profiles, f"step {step}": found.profile}), path)
            self.logger.figure(path.stem, path, step)

    def on_train_end(self, trainer: Trainer, task: Any) -> None:
        """Says which findings the last look no longer had."""
        for seen in self.findings.values():
            if seen["last_step"] < self.steps[-1]:
                where = f" at {seen['where']}" if seen["where"] else ""
                last = seen["last_step"]
                log.info("%s%s was last seen at step %d", seen["cause"], where, last)


def loss_of_share(task: Any, batch: Any) -> Tensor:
    """The training loss of a process's share of a batch."""
    loss: Tensor = task.loss(batch, task.shard)
    return loss


def in_one(trainer: Trainer, said: bool) -> bool:
    """Whether something is so in one of the processes, which all ask at once."""
    if trainer.world_size == 1:
        return said
    value = torch.tensor(float(said), device=trainer.strategy.root_device)
    return bool(trainer.strategy.reduce(value, reduce_op="max"))
