"""Looks at a net in one forward and backward pass."""

from __future__ import annotations

import functools
from contextlib import ExitStack
from typing import Any

import torch
from torch import nn

from zoo.diagnosis.examination import Examination
from zoo.diagnosis.examiner import Examiner
from zoo.probes.watch.backward import differentiated, gradients_of, scalar
from zoo.probes.watch.calls import tensors_in
from zoo.probes.watch.untouched import Loss, parts_of
from zoo.probes.watch.watched import watched


def examine(
    module: nn.Module,
    batch: Any,
    loss: Loss,
    optimizer: torch.optim.Optimizer | None = None,
    clip: float | None = None,
) -> Examination:
    """One pass of a net, forward and backward, with all that is seen of it.

    Args:
        module: the net, in the mode in which it is to be judged.
        batch: what `loss` takes.
        loss: gives a scalar, of the net and the batch.
        optimizer: of the net.
        clip: largest norm of the gradient with which it steps; None: any.

    Errors:
        ConfigError: the loss is no scalar tensor.
    """
    examiner = Examiner(module)
    shapes: dict[str, tuple[Any, Any]] = {}
    with ExitStack() as contexts:
        following = contexts.enter_context(watched(module, examiner))
        given = contexts.enter_context(differentiated(module))
        for name, part in parts_of(module).items():
            note = functools.partial(shapes_of, shapes, name)
            contexts.callback(part.register_forward_hook(note).remove)
        value = scalar(loss(module, batch))
        final = following.calls.number(value)
        gradients = gradients_of(value, module, given)
        return Examination(
            module=module,
            loss=value.detach(),
            outputs=examiner.outputs,
            calls=following.calls.calls,
            writes=examiner.writes,
            profile=examiner.profile() if examiner.writes else None,
            spreads=examiner.spreads,
            alike=examiner.likeness(),
            added=examiner.added,
            stopped=examiner.stopped,
            in_place=examiner.in_place,
            overwritten=examiner.overwritten,
            norms=examiner.norms,
            gradients=gradients,
            unused=[
                name
                for name, p in module.named_parameters()
                if p.requires_grad and name not in gradients
            ],
            shapes=shapes,
            final=final,
            optimizer=optimizer,
            clip=clip,
            flows=examiner.flows,
        )


def shapes_of(
    shapes: dict[str, tuple[Any, Any]], name: str, part: nn.Module, args: Any, out: Any
) -> None:
    """Notes the shapes of what a module takes and gives, by its path."""
    shapes[name] = shape(args), shape(out)


def shape(values: Any) -> Any:
    """The shape of the first tensor in a nest of values; of ragged ones, None."""
    return next((None if x.is_nested else x.shape for x in tensors_in(values)), None)
