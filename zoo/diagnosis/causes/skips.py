"""What is wrong with the skips of a net, its branches, and the stream that they write to."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch

from zoo.diagnosis.examination import Examination
from zoo.diagnosis.finding import Finding
from zoo.probes.watch.writes import Write

IDLE = 1e-3  # what a branch adds over the stream, and its gradient over that of other branches
SMALL = 1e-2  # root mean square of weights
GROWTH = 150.0  # times the growth of a sum of as many independent writes
DROPS = ("dropout", "dropout_", "dropout2d")
BARRIERS = {
    **dict.fromkeys(("detach", "data"), "stops the gradient"),
    **dict.fromkeys(
        ("relu", "relu_", "gelu", "silu", "silu_", "tanh", "sigmoid", "elu", "leaky_relu"),
        "cuts the stream",
    ),
    **dict.fromkeys(
        ("relu6", "hardtanh", "hardtanh_", "clamp", "clamp_", "clamp_min", "clip", "softmax"),
        "cuts the stream",
    ),
    **dict.fromkeys(DROPS, "drops parts of the stream"),
    **dict.fromkeys(
        ("layer_norm", "batch_norm", "group_norm", "rms_norm", "instance_norm", "normalize"),
        "norms the stream",
    ),
}
PROJECTIONS = ("linear", "conv1d", "conv2d", "conv3d")


def idle_branch(seen: Examination) -> Iterator[Finding]:
    """Branches that add next to nothing while their own weights get next to no gradient.

    Before a head of zeros none gets any, which says nothing of them. The gradient of a lone number,
    such as the factor of ReZero, is near zero by chance in one of 1 / `IDLE` nets, so that it must
    be smaller still.
    """
    if seen.profile is None or seen.profile.gradient[-1] == 0:
        return
    gradients = [branch_gradient(seen, write) for write in seen.writes]
    usual = float(torch.tensor([g[0] for g in gradients if g] or [0.0]).median())
    sizes = seen.profile.ratio.clone()
    for i, write in enumerate(seen.writes):
        if write.rule is not None and any(True for _ in write.rule.parameters()):
            sizes[i] = min(sizes[i], seen.added[i].cpu())  # its own factors may silence the branch
    for write, ratio, found in zip(seen.writes, sizes, gradients, strict=True):
        if found and ratio < IDLE and found[0] <= IDLE ** (2 if found[1] == 1 else 1) * usual:
            said = f"it adds {float(ratio):.2g} of the stream's size, with hardly a gradient"
            cure = "look for a detach, a frozen layer or a scale that is not learned"
            yield Finding("idle_branch", unit_of(write), float(ratio), IDLE, said, cure)


def branch_gradient(seen: Examination, write: Write) -> tuple[float, int] | None:
    """The largest size of a gradient over that of its weights in a branch, and how many of its
    numbers have one; None without weights.

    Weights smaller than `SMALL`, such as biases of zero, count as if they were of that size.
    """
    names = {call.module for call in write.branch if call.weighted}
    names |= {write.module} if write.rule is not None else set()
    sizes, numbers = [], 0
    for name in names:
        for key, p in seen.module.get_submodule(name).named_parameters(name, recurse=False):
            gradient = seen.gradients.get(key)
            least = SMALL * math.sqrt(p.numel())
            sizes.append(
                0.0 if gradient is None else float(gradient.norm() / p.detach().norm().clamp(least))
            )
            numbers += 0 if gradient is None else int(gradient.count_nonzero())
    return (max(sizes), numbers) if sizes else None


def stream_growth(seen: Examination) -> Iterator[Finding]:
    """A stream that grows much more than a sum of independent writes does.

    Where most skips are projections, there is no stream that goes on.
    """
    if seen.profile is None or len(seen.profile.modules) < 4:
        return
    anew = sum(
        write.rule is None and any(call.weighted for call in write.skip) for write in seen.writes
    )
    if 2 * anew > len(seen.writes):
        return
    stream = seen.profile.stream
    growth = float(stream[-1] / stream[:2].max().clamp(min=1e-30))
    limit = GROWTH * math.sqrt(len(stream))
    if growth > limit:
        said = f"it grows {growth:.3g} times over {len(stream) - 1} writes, beyond {limit:.3g}"
        cure = "norm what the branches read (norm=pre), or scale them (connection=rezero)"
        yield Finding("stream_growth", seen.profile.modules[-1], growth, limit, said, cure)


def broken_identity(seen: Examination) -> Iterator[Finding]:
    """Skips that do not bring the stream as it was, or stop its gradient, without a projection.

    A rule that is declared not to be linear in its stream may have an activation or a norm there.
    """
    unchanged = {out.call.number for out in seen.outputs if out.same is not None and out.same}
    for write in seen.writes:
        barriers = [
            call.name
            for call in write.skip
            if call.name in BARRIERS and not (call.name in DROPS and call.number in unchanged)
        ]
        meant = any(call.name in PROJECTIONS for call in write.skip)
        said = ""
        if write.index in seen.overwritten or overwrites(seen, write):
            said = "the branch changes in place what the skip brings"
        elif meant or (write.rule and not write.rule.linear):
            continue
        elif barriers:
            said = f"{barriers[0]} on the skip {BARRIERS[barriers[0]]}"
        elif write.index in seen.stopped:
            said = "the skip has no gradient"
        if said:
            cure = "add the stream as it is: x + branch(x)"
            yield Finding("broken_identity", place_of(write), 1, 0, said, cure)


def overwrites(seen: Examination, write: Write) -> bool:
    """Whether a stream was changed in place within the module that goes on as the branch."""
    source = seen.calls[write.source]
    if write.rule is not None or source.name not in BARRIERS or source.number not in seen.in_place:
        return False
    inside = f"{write.module}." if write.module else ""
    parts = {
        call.module.removeprefix(inside).partition(".")[0]
        for call in (source, *write.branch)
        if call.module.startswith(inside) and call.module != write.module
    }
    strangers = any(not call.module.startswith(inside) for call in (source, *write.branch))
    return not strangers and len(parts) == 1 and source.module != write.module


def unit_of(write: Write) -> str:
    """The path of the block that a write belongs to: the smallest that holds its whole branch."""
    names = [call.module for call in write.branch if call.weighted] or [write.module]
    common = common_path(names)
    return write.module if write.module.startswith(common) and write.module else common


def place_of(write: Write) -> str:
    """The path of what writes, or of its block where that is the net itself."""
    return write.module or unit_of(write)


def common_path(names: Sequence[str]) -> str:
    """The path of the smallest module that holds all of some modules.

    >>> common_path(["a.b.0", "a.b.1"]), common_path(["a.b", "a.b.1"])
    ('a.b', 'a.b')
    """
    parts = [name.split(".") for name in names]
    common = []
    for level in zip(*parts, strict=False):
        if len(set(level)) > 1:
            break
        common.append(level[0])
    return ".".join(common)
