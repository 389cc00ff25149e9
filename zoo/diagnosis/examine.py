"""Looks at a net in one forward and backward pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from zoo.connection import State
from zoo.diagnosis.examination import Examination, Norm, Output
from zoo.probes.pieces import moments, products
from zoo.probes.stream.profile import Sizes, size, with_gradients
from zoo.probes.watch.calls import Call
from zoo.probes.watch.untouched import Loss
from zoo.probes.watch.watched import watched
from zoo.probes.watch.writes import Write

ACTIVATIONS = {  # functions, with the values at which they are flat
    "relu": (0.0, None),
    "relu_": (0.0, None),
    "relu6": (0.0, 6.0),
    "hardtanh": (-1.0, 1.0),
    "tanh": (-1.0, 1.0),
    "tanh_": (-1.0, 1.0),
    "sigmoid": (0.0, 1.0),
    "sigmoid_": (0.0, 1.0),
    "hardsigmoid": (0.0, 1.0),
}
NEAR = 1e-3  # of a flat value


class Examiner(Sizes):
    """Collects what an `Examination` holds.

    Args:
        module: the net.
    """

    def __init__(self, module: nn.Module):
        super().__init__()
        self.parts = dict(module.named_modules())
        self.outputs: list[Output] = []
        self.writes: list[Write] = []
        self.spreads: list[Tensor] = []
        self.norms: list[Norm] = []
        self.flows: dict[int, Tensor] = {}  # norm of the gradient at what a weighted call made

    def terms(self, write: Write, state: State, branch: Tensor) -> tuple[State, Tensor]:
        self.spreads.append(spread(write.value(state).detach()))
        return super().terms(write, state, branch)

    def after(self, write: Write, state: State) -> State:
        self.writes.append(write)
        return super().after(write, state)

    def called(self, call: Call, inputs: Sequence[Tensor], made: Sequence[Tensor]) -> None:
        if call.name == "batch_norm":
            self.norms.append(norm_of(call, inputs, self.parts.get(call.module), self.bias(call)))
        x = made[0]
        if not x.is_floating_point() or x.layout != torch.strided or not x.numel() or call.fixed:
            return
        x = x.detach()
        fed = [t for t in inputs if t.is_floating_point() and t.layout == torch.strided]
        finite = torch.stack([t.isfinite().all() for t in fed]).all() if fed else x.new_ones(())
        self.outputs.append(
            Output(
                call=call,
                dtype=x.dtype,
                shape=x.shape,
                finite=(x.isfinite().all(), finite.bool()),
                largest=torch.stack(x.aminmax()).abs().amax(),
                size=size(x),
                flat=flat_share(x, call.name),
            )
        )
        if call.weighted and made[0].requires_grad:
            made[0].register_hook(lambda g: self.flows.__setitem__(call.number, size(g)))

    def bias(self, call: Call) -> str:
        """The path of the layer with a bias whose output a batch norm takes, or nothing."""
        before = self.outputs[-1].call if self.outputs else call
        if before.number not in call.inputs or before.name not in ("linear", "conv1d", "conv2d"):
            return ""
        layer = self.parts.get(before.module)
        return before.module if getattr(layer, "bias", None) is not None else ""


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
    """
    examiner = Examiner(module)
    shapes: dict[str, tuple[Any, Any]] = {}
    handles = [
        part.register_forward_hook(
            lambda part, args, out, name=name: shapes.__setitem__(name, (shape(args), shape(out)))
        )
        for name, part in module.named_modules()
    ]
    try:
        with watched(module, examiner) as following, torch.enable_grad():
            value = loss(module, with_gradients(batch))
            final = following.calls.number(value)
            if value.requires_grad:
                value.backward()
            gradients = {
                name: p.grad.detach() for name, p in module.named_parameters() if p.grad is not None
            }
            return Examination(
                module=module,
                loss=value.detach(),
                outputs=examiner.outputs,
                calls=following.calls.calls,
                writes=examiner.writes,
                profile=examiner.profile() if examiner.writes else None,
                spreads=examiner.spreads,
                norms=examiner.norms,
                gradients=gradients,
                shapes=shapes,
                final=final,
                optimizer=optimizer,
                clip=clip,
                flows=examiner.flows,
            )
    finally:
        for handle in handles:
            handle.remove()


def shape(values: Any) -> Any:
    """The shape of the first tensor in a nest of values."""
    leaves = torch.utils._pytree.tree_leaves(values)
    return next((x.shape for x in leaves if isinstance(x, Tensor)), None)


def flat_share(x: Tensor, name: str) -> Tensor | None:
    """The share of units that stand at a flat end of their activation for every example.

    Units are the channels of images, which are second, and the last axis of all else.
    """
    if name not in ACTIVATIONS or x.ndim < 2:
        return None
    low, high = ACTIVATIONS[name]
    channel = 1 if x.ndim == 4 else x.ndim - 1
    axes = [axis for axis in range(x.ndim) if axis != channel]
    flat = x.amax(axes) <= low + (NEAR if high is not None else 0)
    if high is not None:
        flat |= x.amin(axes) >= high - NEAR
    return flat.double().mean()


def spread(x: Tensor) -> Tensor:
    """The share of a stream's energy outside of its first direction: 0 where all rows are one.

    Equation: 1 - sigma_1^2 / ||X||_F^2, sigma_1 the largest singular value; rows are nodes, the
        tokens of a text (mean over texts), or whole images
    """
    matrices = products(x)
    if not matrices.isfinite().all():
        return matrices.new_tensor(torch.nan)
    energies = torch.linalg.eigvalsh(matrices)
    return (1 - energies[:, -1] / energies.sum(-1).clamp(min=1e-300)).mean()


def norm_of(call: Call, inputs: Sequence[Tensor], part: nn.Module | None, bias: str) -> Norm:
    """What a batch norm was given."""
    x = inputs[0]
    mean, variance = moments(x)
    running = getattr(part, "running_mean", None), getattr(part, "running_var", None)
    shift = stretch = None
    if running[0] is not None and running[1] is not None:
        scale = running[1].double().clamp(min=1e-12)
        shift, stretch = (mean - running[0].double()).abs() / scale.sqrt(), variance / scale
    seen = getattr(part, "num_batches_tracked", None)
    return Norm(
        module=call.module,
        values=x.numel() // x.shape[1],
        examples=len(x),
        shift=shift,
        stretch=stretch,
        seen=int(seen) if seen is not None else 0,
        training=part.training if part is not None else False,
        bias=bias,
    )
