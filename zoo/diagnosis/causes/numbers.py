"""Numbers that are not finite, or about to be."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from zoo.diagnosis.causes.graph import behind_layers, last_call
from zoo.diagnosis.examination import Examination, Output
from zoo.diagnosis.finding import Finding

LARGE = 1e5  # root mean square of an activation
HALF = torch.finfo(torch.float16).max
PRODUCTS = ("matmul", "__matmul__", "bmm", "baddbmm", "einsum", "mul", "mul_", "pow", "square")
FILLS = ("masked_fill", "masked_fill_", "where", "fill_", "detach")  # as a mask does
NORMS = ("layer_norm", "batch_norm", "group_norm", "rms_norm", "instance_norm")


def non_finite(seen: Examination) -> Iterator[Finding]:
    """Where numbers stop being finite: in a parameter, in a function, or in a gradient alone.

    Infinities that go away again, as those of a mask before a softmax, are none: what counts is
    what reaches the loss.
    """
    lost = [name for name, p in seen.module.named_parameters() if not p.isfinite().all()]
    for name in lost[:1]:
        count = f"{len(lost)} {'parameter is' if len(lost) == 1 else 'parameters are'} not finite"
        cure = "go back to a checkpoint of before, with a smaller step or clipped gradients"
        yield Finding("non_finite", name, len(lost), 0, count, cure)
    if lost:
        return
    if not seen.loss.isfinite():
        origin = arises(seen)
        where, name = (origin.call.module, origin.call.name) if origin else ("", "the loss")
        said = f"{name} of finite numbers is not finite"
        cure = "keep its input away from zero and from overflow (an epsilon, a clamp, float32)"
        yield Finding("non_finite", where, 1, 0, said, cure)
        return
    steep = [name for name, gradient in seen.gradients.items() if not gradient.isfinite().all()]
    for name in steep and [max(steep, key=lambda name: last_call(seen, name))]:
        said = f"the loss is finite, the gradients of {len(steep)} parameters are not"
        cure = "look for a root or a norm at zero after it, whose slope is infinite there"
        yield Finding("non_finite", name, len(steep), 0, said, cure)


def arises(seen: Examination) -> Output | None:
    """The function from which what is not finite reaches the loss."""
    bad = {out.call.number: out for out in seen.outputs if not out.finite[0]}
    reached, frontier = set(), [seen.final]
    while frontier:
        number = frontier.pop()
        if number in bad and number not in reached:
            reached.add(number)
            frontier += seen.calls[number].inputs
    return bad[min(reached)] if reached else None


def activations(seen: Examination) -> Iterator[Output]:
    """What a net computed of its weights: results of its layers and of products, what a branch
    writes, and what a norm reads; not inputs, constants, or the ends that a mask fills in.
    """
    learned = behind_layers(seen.calls)
    read = {number for call in seen.calls if call.name in NORMS for number in call.inputs}
    read |= {calls[0].number for write in seen.writes for calls in (write.branch, write.skip)
             if calls}  # fmt: skip
    filled = {call.number for call in seen.calls if call.name in FILLS}
    for out in seen.outputs:
        call = out.call
        product = call.name in PRODUCTS and not filled.intersection(call.inputs)
        if call.weighted or (call.number in learned - filled and (product or call.number in read)):
            yield out


def exploding_activations(seen: Examination) -> Iterator[Finding]:
    """Activations whose size is beyond all reason; the first function that makes them."""
    for out in activations(seen):
        if out.finite[0] and out.size > LARGE:
            said = f"{out.call.name} gives numbers of size {float(out.size):.3g}, beyond {LARGE:g}"
            cure = "norm the stream or scale the branches: norm=pre, or a smaller initialisation"
            yield Finding(
                "exploding_activations", out.call.module, float(out.size), LARGE, said, cure
            )
            return


def fp16_overflow(seen: Examination) -> Iterator[Finding]:
    """Activations in half precision that reach half of its largest number."""
    for out in activations(seen):
        if out.dtype == torch.float16 and not out.largest <= HALF / 2:
            said = f"{float(out.largest):.3g} where float16 ends at {HALF:g}"
            cure = "compute in bfloat16: trainer.precision=bf16-mixed, or autocast(dtype=bfloat16)"
            yield Finding(
                "fp16_overflow", out.call.module, float(out.largest), HALF / 2, said, cure
            )
            return
