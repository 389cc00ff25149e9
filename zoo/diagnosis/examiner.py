"""Collects what is seen of a net while it runs forward and backward."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from zoo.connection import State
from zoo.diagnosis.examination import Norm, Output
from zoo.diagnosis.measures import Channels, dead_share, flat_share, norm_of, spans, spread, unary
from zoo.probes.pieces import together
from zoo.probes.stream.profile import Sizes, size
from zoo.probes.watch.calls import Call, measurable, tensors_in
from zoo.probes.watch.writes import Write

RECTIFIERS = ("relu", "relu_", "relu6")
BOUNDED = {  # functions with their ends, and whose module has others
    **dict.fromkeys(("tanh", "tanh_", "hardtanh", "hardtanh_"), (-1.0, 1.0)),
    **dict.fromkeys(("sigmoid", "sigmoid_", "hardsigmoid"), (0.0, 1.0)),
}


class Examiner(Sizes):
    """Collects what an `Examination` holds.

    Args:
        module: the net.
    """

    def __init__(self, module: nn.Module):
        super().__init__()
        self.parts = dict(module.named_modules())
        self.channels = Channels()
        self.outputs: list[Output] = []
        self.writes: list[Write] = []
        self.spreads: list[Tensor] = []
        self.depths: list[tuple[str, Tensor]] = []  # of functions with weights
        self.alike: list[tuple[str, Tensor]] = []  # of writes
        self.added: list[Tensor] = []
        self.stopped: set[int] = set()
        self.in_place: set[int] = set()
        self.overwritten: set[int] = set()
        self.read: dict[int, tuple[Tensor, int]] = {}  # what branches read, and its version
        self.before: dict[int, Tensor] = {}  # the stream before a write
        self.biased: set[int] = set()  # numbers of the calls that take the bias of their module
        self.free: set[int] = set()  # numbers of calls whose result has no gradient
        self.norms: list[Norm] = []
        self.dead: Tensor | None = None  # share of the units that the function at hand makes zero
        self.flows: dict[int, Tensor] = {}  # norm of the gradient at what a weighted call made

    def reads(self, write: Write, x: Tensor) -> Tensor:
        alias = super().reads(write, x)
        self.read[write.key] = alias, alias._version
        return alias

    def terms(self, write: Write, state: State, branch: Tensor) -> tuple[State, Tensor]:
        value = write.value(state)
        came_with = write.source not in self.free and branch.requires_grad
        if write.rule is None and write.skip and came_with and not value.requires_grad:
            self.stopped.add(write.index)
        unit, value = self.channels.axis(value), value.detach()
        self.spreads.append(spread(value, unit))
        self.alike.append((write.module, spans(value, unit)))
        self.before[write.key] = value
        x, version = self.read.pop(write.key, (branch, branch._version))
        if x._version > version and x.data_ptr() in [t.data_ptr() for t in tensors_in(state)]:
            self.overwritten.add(write.index)
        return super().terms(write, state, branch)

    def after(self, write: Write, state: State) -> State:
        self.writes.append(write)
        before, value = self.before.pop(write.key), write.value(state).detach()
        same = before.shape == value.shape
        self.added.append(size(value - before) / size(before) if same else size(value))
        return super().after(write, state)

    def calling(self, name: str, module: str, inputs: Sequence[Tensor]) -> None:
        part = self.parts.get(module)
        rectifies = name in RECTIFIERS or (name in BOUNDED and isinstance(part, nn.ReLU6))
        self.dead = None
        if rectifies and measurable(inputs[0]):
            self.dead = dead_share(inputs[0].detach(), self.channels.axis(inputs[0]))

    def called(self, call: Call, inputs: Sequence[Tensor], made: Sequence[Tensor]) -> None:
        if call.name == "batch_norm":
            self.norms.append(norm_of(call, inputs, self.parts.get(call.module), self.bias(call)))
        bias = getattr(self.parts.get(call.module), "bias", None)
        if bias is not None and any(taken is bias for taken in inputs):
            self.biased.add(call.number)
        x = made[0]
        if any(x is taken for taken in inputs):
            self.in_place.add(call.number)
        if not x.requires_grad:
            self.free.add(call.number)
        if not measurable(x) or not x.numel() or call.fixed:
            return
        self.channels.note(call.name, inputs, x)
        unit = self.channels.axis(x)
        x = x.detach()
        fed = [t for t in inputs if measurable(t)]
        finite = together([t.isfinite().all() for t in fed]).all()
        self.outputs.append(
            Output(
                call=call,
                dtype=x.dtype,
                shape=x.shape,
                units=x.shape[unit] if x.ndim else 1,
                finite=(x.isfinite().all(), finite),
                largest=torch.stack(x.aminmax()).abs().amax(),
                size=size(x),
                dead=self.dead,
                flat=flat_share(x, self.ends(call)),
                same=(x == fed[0]).all() if unary(x, fed) else None,
            )
        )
        if call.weighted:
            self.depths.append((call.module, spans(x, unit)))
        if call.weighted and made[0].requires_grad:
            made[0].register_hook(lambda g: self.flowed(call.number, size(g)))

    def flowed(self, number: int, size: Tensor) -> None:
        """Keeps the largest gradient at a call: a loss with a gradient in it sends several."""
        self.flows[number] = size.maximum(self.flows.get(number, size))

    def ends(self, call: Call) -> tuple[float, float] | None:
        """The ends of a bounded activation; None of other functions."""
        ends, part = BOUNDED.get(call.name), self.parts.get(call.module)
        if ends and isinstance(part, nn.Hardtanh):
            ends = part.min_val, part.max_val
        return ends

    def likeness(self) -> list[tuple[str, Tensor]]:
        """How alike rows and examples are by depth."""
        rows = self.depths[:-1] if len(self.alike) < 2 else [*self.depths[:1], *self.alike]
        return [(name, value.to(rows[0][1].device)) for name, value in rows]

    def bias(self, call: Call) -> str:
        """The path of the layer whose bias went into what a batch norm takes, or nothing."""
        before = self.outputs[-1].call if self.outputs else call
        adds_bias = before.number in call.inputs and before.number in self.biased
        return before.module if adds_bias else ""
