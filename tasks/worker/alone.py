"""Whether a run can train together with others of its kind, found out by its first step."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tasks.training.module import Task
from tasks.training.stacked import Inputs, Stacked
from tasks.training.trainer import TrainerOptions
from zoo.config.config import Config
from zoo.errors import cut
from zoo.seeding import redraw

ROUNDING = 1e-3  # of the size of a gradient; what is not computed for each model differs by more
WIDEST = 120  # characters of a reason
KNOWN = {  # what PyTorch says, and what it means
    "called random operation": "random draws inside the net",
    "use an autograd.Function": "a backward pass that is written by hand",
}


def why_alone(config: Config, training: TrainerOptions, task: Task, batch: Any) -> str:
    """Why a run must train alone; empty where it can train together with others.

    Two models of other seeds take a step on the batch, each by itself and both together. The
    weights of the task stay, and so do its generators.

    Args:
        config: of the run.
        training: its options of training.
        task: on its device, set up.
        batch: of its training data.
    """
    for option in ("compile", "deterministic", "graphs"):
        if getattr(training, option):
            return f"trainer.{option}"
    if config.sections["trainer"]["devices"] > 1:
        return "trainer.devices"
    model, draws = task.model, {name: each.get_state() for name, each in task.generators.items()}
    try:
        return difference(task, batch, config.seed)
    except Exception as error:
        reason = " ".join(f"{error}".split())
        return next((KNOWN[text] for text in KNOWN if text in reason), cut(reason, WIDEST))
    finally:
        task.model = model
        for name, state in draws.items():
            task.generators[name].set_state(state)


def difference(task: Task, batch: Any, seed: int) -> str:
    """What two models do otherwise together than by themselves; empty for nothing.

    Errors:
        Exception: they cannot be computed together.
    """
    own = [copy.deepcopy(task.model).train() for _ in range(2)]
    for number, model in enumerate(own):
        redraw(model.cpu(), seed + number)
        model.to(task.device)
    shared = [copy.deepcopy(model) for model in own]
    inputs: list[Inputs] = []
    for model in own:
        step(task, model, batch, seed, inputs)
    if len(inputs) != len(own):
        return f"a loss that calls its model {len(inputs) // len(own)} times"
    made = Stacked(shared).forward(inputs)
    for model, answer in zip(shared, made.answers, strict=True):
        step(task, model, batch, seed, [], answer)
    made.backward()
    for name, find in {"gradient": gradients, "statistic": statistics}.items():
        for one, other in zip(own, shared, strict=True):
            apart = torch.dist(find(one), find(other)).item()
            if not apart <= ROUNDING * find(one).norm().item():
                return f"a {name} that differs by {apart:.1g}"
    return ""


def step(
    task: Task, model: Any, batch: Any, seed: int, inputs: list[Inputs], answer: Any = None
) -> None:
    """Computes the loss of a model and its gradients.

    Args:
        task: that computes the loss.
        model: of the task from now on.
        batch: of the task.
        seed: of all draws.
        inputs: which get those of the model.
        answer: of the model, instead of its own.
    """
    task.model, forward = model, model.forward

    def call(*args: Any, **kwargs: Any) -> Any:
        inputs.append((args, kwargs))
        return forward(*args, **kwargs) if answer is None else answer

    model.forward = call
    torch.manual_seed(seed)
    for draws in task.generators.values():
        draws.manual_seed(seed)
    try:
        task.loss(batch).backward()
    finally:
        del model.forward


def gradients(model: nn.Module) -> Tensor:
    """The gradients of all weights in one row."""
    return flat([p.grad for p in model.parameters() if p.grad is not None])


def statistics(model: nn.Module) -> Tensor:
    """All buffers in one row."""
    return flat(list(model.buffers()))


def flat(tensors: Sequence[Tensor]) -> Tensor:
    """Some tensors in one row, as doubles."""
    return torch.cat([torch.zeros(1), *(x.detach().cpu().double().flatten() for x in tensors)])
