"""Steps whose loss or gradient is not finite: the run ends, leaves them out or goes back."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from pytorch_lightning import Trainer
from torch import Tensor

from tasks.fast_callback import FastCallback
from tasks.recovery.events import LossEvents
from tasks.recovery.fp16_scale import Fp16Scale
from tasks.recovery.left_out import Told, Updates
from tasks.recovery.loading import load_checkpoint
from tasks.recovery.origin import origin_of_lost
from tasks.recovery.rollback import RolledBack, rewrite_for_return
from zoo.errors import Diverged

log = logging.getLogger("zoo")
OnNonFinite = Literal["stop", "skip", "rollback"]  # what follows a lost step


class NonFiniteGuard(FastCallback):
    """Keeps a gradient that is not finite from the weights, and records losses out of the usual.

    On one CPU every step is looked at as it ends; elsewhere a lost step is left out on the device,
    and looked at where the run waits for the device anyway. The norm of the gradient tells, but
    not on one CPU where the run only stops and nothing is clipped: there the loss alone is looked
    at before the update. Under fp16 a norm that is not finite is no news: the scaler leaves out
    the step and halves its scale. There the loss tells, and a last step that was left out although
    the scale had come below 1.

    Args:
        policy: what follows a lost step.
        limit: lost steps, or returns, after which the run has diverged all the same.
        every: steps between two looks that wait for a device or for other processes.
        path: of the checkpoint to return to.

    Attributes:
        losses: the events that the result lists; a spike has its `median`, a rollback `to`, the
            step that the run returned to, and `batches`, the first and the last of those left out.
        count: lost steps so far.
    """

    state_key = "Guard"  # in checkpoints

    def __init__(self, policy: OnNonFinite, limit: int, every: int, path: Path):
        self.policy, self.limit, self.every, self.path = policy, limit, every, path
        self.goes_on = self.needs_norm = policy != "stop"
        self.scale: Fp16Scale | None = None  # of a run in fp16
        self.batches = 0
        self.pending: list[tuple[int, Tensor, Tensor]] = []  # batch, its loss, norm or loss again
        self.norm: Tensor | None = None
        self.losses = LossEvents()
        self.count = 0

    def on_train_start(self, trainer: Trainer, task: Any) -> None:
        alone = trainer.world_size == 1 and task.device.type == "cpu"
        self.every = 1 if alone else self.every
        scaler = getattr(trainer.precision_plugin, "scaler", None)
        self.scale = Fp16Scale(scaler) if scaler else None
        self.needs_norm = self.goes_on or not alone
        flags = self.every > 1 or task.graphs
        told: Told = "scaler" if scaler else "device" if flags else "host"
        self.updates = Updates(task, told, self.policy == "skip")
        self.batches = trainer.global_step * trainer.accumulate_grad_batches
        task.guard = self

    def leave_out(self, optimizer: Any, weights: Sequence[Tensor], norm: Tensor) -> None:
        """Leaves out the next update of an optimiser if the norm `[]` of all is not finite."""
        self.note(norm)
        self.updates.leave_out(optimizer, weights, ~(norm < math.inf))

    def note(self, norm: Tensor) -> None:
        """Notes the norm `[]` of an update's gradient for the next look; under fp16 it is no news.

        A step may have several updates, of which all must be finite.
        """
        if not self.scale:
            self.norm = norm if self.norm is None else torch.maximum(self.norm, norm)

    def is_loss_lost(self, loss: Tensor) -> bool:
        """Whether this loss `[]` or an earlier one of its step is lost; waits for the device."""
        if not loss.isfinite():
            self.norm = loss  # of an update among several, whose other losses may be finite
            return True
        return not all(bool(earlier.isfinite()) for _, earlier, _ in self.pending)

    def poison_gradient(self, loss: Tensor) -> Tensor:
        """Returns the loss `[]`, with a gradient that is not finite where the loss is not."""
        return loss * (1 + 0 * loss.detach()) if self.goes_on else loss

    def on_validation_start(self, trainer: Trainer, task: Any) -> None:
        self.look(trainer, task)

    def on_train_batch_end(self, trainer: Trainer, task: Any, *_: Any) -> None:
        self.batches += 1
        whole = self.batches % trainer.accumulate_grad_batches == 0
        loss, norm = task.train_loss, self.norm if whole else None
        self.norm = None
        self.pending.append((self.batches, loss, loss if norm is None else norm))
        if whole:
            self.updates.ended()
        if whole and self.batches % (self.every * trainer.accumulate_grad_batches) == 0:
            self.look(trainer, task)

    def look(self, trainer: Trainer, task: Any) -> None:
        """Looks at the losses and norms since the last look; waits for the device.

        Errors:
            Diverged: one of them is not finite, and the run is to stop or has lost too many.
            RolledBack: one of them is not finite, and the run is to return.
        """
        pending, self.pending = self.pending, []
        if not pending:
            return
        values = torch.stack([value for _, *pair in pending for value in pair]).view(-1, 2)
        if trainer.world_size > 1:
            values = trainer.strategy.reduce(values, reduce_op="mean")
        handled = 0  # the last step that was
        for (batch, *_), (loss, norm) in zip(pending, values.tolist(), strict=True):
            step = (batch - 1) // trainer.accumulate_grad_batches + 1
            if math.isfinite(loss) and math.isfinite(norm):
                self.losses.compare(step, loss)
            elif step != handled:
                handled = step
                self.handle(trainer, task, step, batch, loss)
        if self.scale and step != handled and self.scale.fell_too_far():
            self.handle(trainer, task, step, batch, loss)

    def on_train_end(self, trainer: Trainer, task: Any) -> None:
        """Warns where the run was too short for fp16 to find its scale."""
        steps = trainer.global_step
        if self.scale and steps and self.scale.fell_in_all(steps):
            log.warning("fp16 left out all %d steps, its scale was too large; train on", steps)

    def handle(self, trainer: Trainer, task: Any, step: int, batch: int, loss: float) -> None:
        """Ends the run, leaves the step out or goes back, by the policy.

        Args:
            trainer: of the run.
            task: that is trained.
            step: that was lost.
            batch: the last one of it that is known to be lost, without those left out before.
            loss: of that batch.
        """
        self.count += 1
        before = (batch - 1) % trainer.accumulate_grad_batches
        last = batch + task.dropped_batches
        batches = range(last - before, last + 1)  # of this step
        with task.whole():
            origin = origin_of_lost(trainer, task, batches)
        if not origin and before and math.isfinite(loss):
            origin = f"batches {batches[0]} to {last}"
        what = f"{self.lost_value(loss)} is not finite at step {step}, {origin or f'batch {last}'}"
        if not self.goes_on or self.count > self.limit:
            more = f" ({self.count} such steps)" if self.goes_on else ""
            raise Diverged(what + more, "training", self.fix(loss))
        if self.policy == "skip":
            self.losses.add(step, "skip", loss)
            log.warning("%s; the step is left out", what)
            return
        path = Path(trainer.strategy.broadcast(str(self.path)))
        to = load_checkpoint(path)["global_step"]
        first = to * trainer.accumulate_grad_batches + task.dropped_batches + 1
        self.losses.add(step, "rollback", loss, to=to, batches=[first, last])
        log.warning("%s; back to step %d, without batches %d to %d", what, to, first, last)
        if trainer.is_global_zero:
            rewrite_for_return(path, self.state_dict(), last - first + 1 + task.dropped_batches)
        trainer.strategy.barrier()
        raise RolledBack(path.with_name("last.ckpt"), to)

    def lost_value(self, loss: float) -> str:
        """What of a lost step is not finite, in words."""
        if not math.isfinite(loss):
            return "train/loss"
        if self.scale:
            return f"the gradient, scaled by {self.scale.value():g} for fp16,"
        return "the norm of the gradient"

    def fix(self, loss: float) -> str:
        """What to change after a lost step."""
        if self.scale and math.isfinite(loss):
            return "give trainer.precision=bf16-mixed or lower optimizer.lr"
        saved = self.path.with_name("last.ckpt").is_file() and not self.goes_on
        return "lower optimizer.lr" + ", or go on by trainer.on_nonfinite=skip" * saved

    def state_dict(self) -> dict[str, Any]:
        losses = self.losses
        return {"events": losses.events, "count": self.count, "usual": list(losses.usual)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.losses.events[:], self.count = state_dict["events"], state_dict["count"]
        self.losses.usual.extend(state_dict["usual"])
