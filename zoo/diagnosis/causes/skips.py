"""What is wrong with the skips of a net, its branches, and the stream that they write to."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence

import torch

from zoo.diagnosis.examination import Examination
from zoo.diagnosis.finding import Finding
from zoo.probes.watch.writes import Write

IDLE = 1e-3  # what a branch adds over the stream, and its gradient over that of other branches
GROWTH = 150.0  # times the growth of a sum of as many independent writes
ALIKE = 1e-4  # spread of the rows of a stream over their size
BARRIERS = {
    **dict.fromkeys(("detach", "data"), "stops the gradient"),
    **dict.fromkeys(
        ("relu", "relu_", "gelu", "silu", "silu_", "tanh", "sigmoid", "elu", "leaky_relu"),
        "cuts the stream",
    ),
    **dict.fromkeys(
        ("layer_norm", "batch_norm", "group_norm", "rms_norm", "instance_norm"), "norms the stream"
    ),
}
PROJECTIONS = ("linear", "conv1d", "conv2d", "conv3d")


def idle_branch(seen: Examination) -> Iterator[Finding]:
    """Branches that add next to nothing while their own weights get next to no gradient."""
    if seen.profile is None:
        return
    gradients = [branch_gradient(seen, write) for write in seen.writes]
    usual = float(torch.tensor([g for g in gradients if g is not None] or [0.0]).median())
    for write, ratio, gradient in zip(seen.writes, seen.profile.ratio, gradients, strict=True):
        if gradient is not None and ratio < IDLE and gradient <= IDLE * usual:
            said = f"it adds {float(ratio):.2g} of the stream's size, with hardly a gradient"
            cure = "look for a detach, a frozen layer or a scale that is not learned"
            yield Finding("idle_branch", unit_of(write), float(ratio), IDLE, said, cure)


def branch_gradient(seen: Examination, write: Write) -> float | None:
    """The largest size of a gradient over that of its weights in a branch; None without any."""
    names = {call.module for call in write.branch if call.weighted}
    names |= {write.module} if write.rule is not None else set()
    sizes = []
    for name in names:
        for key, p in seen.module.get_submodule(name).named_parameters(name, recurse=False):
            gradient = seen.gradients.get(key)
            sizes.append(
                0.0 if gradient is None else float(gradient.norm() / p.detach().norm().clamp(1e-9))
            )
    return max(sizes) if sizes else None


def stream_growth(seen: Examination) -> Iterator[Finding]:
    """A stream that grows much more than a sum of independent writes does."""
    if seen.profile is None or len(seen.profile.modules) < 4:
        return
    stream = seen.profile.stream
    growth = float(stream[-1] / stream[:2].max().clamp(min=1e-30))
    limit = GROWTH * math.sqrt(len(stream))
    if growth > limit:
        said = f"it grows {growth:.3g} times over {len(stream) - 1} writes, beyond {limit:.3g}"
        cure = "norm what the branches read (norm=pre), or scale them (connection=rezero)"
        yield Finding("stream_growth", seen.profile.modules[-1], growth, limit, said, cure)


def broken_identity(seen: Examination) -> Iterator[Finding]:
    """Skips with an activation, a norm or a detach on them, and no projection.

    A rule that is declared not to be linear in its stream may have them.
    """
    for write in seen.writes:
        names = [call.name for call in write.skip]
        barrier = next((name for name in names if name in BARRIERS), None)
        meant = any(name in PROJECTIONS for name in names) or (write.rule and not write.rule.linear)
        if barrier and not meant:
            said = f"{barrier} on the skip {BARRIERS[barrier]}"
            cure = "add the stream as it is: x + branch(x)"
            yield Finding("broken_identity", write.module, 1, 0, said, cure)


def double_add(seen: Examination) -> Iterator[Finding]:
    """Sums of a stream with a branch that has added the same stream already."""
    sums = sums_of(seen)
    for write in seen.writes:
        if not (write.rule.carries if write.rule else write.identity) or not write.branch:
            continue
        number = write.branch[0].number
        while number != write.source:
            call = seen.calls[number]
            passed = call.inputs[0] if len(call.inputs) == 1 and not call.weighted else None
            following = sums.get(number, passed)
            if following is None:
                break
            number = following
        else:
            said = "the branch has added the stream before it is added again"
            cure = "leave one of the two sums out"
            yield Finding("double_add", write.module, 2, 1, said, cure)


def sums_of(seen: Examination) -> dict[int, int]:
    """For the call of every sum with an identity on its skip the call that made its stream."""
    writes = {(w.source, w.branch[0].number) for w in seen.writes if w.identity and w.branch}
    return {
        call.number: source
        for call in seen.calls
        if call.name in ("add", "add_")
        for source, branch in itertools.permutations(call.inputs, 2)
        if (source, branch) in writes
    }


def missing_add(seen: Examination) -> Iterator[Finding]:
    """Blocks without a write among siblings of their class that have one."""
    yield from missing_rule(seen)
    have = {unit_of(write) for write in seen.writes if write.rule is None}
    families = defaultdict(list)
    for name, part in seen.module.named_modules():
        if name in seen.shapes and any(True for _ in part.parameters()):
            families[name.rpartition(".")[0], type(part)].append(name)
    for names in families.values():
        covered = [name for name in names if covers(name, have)]
        lacking = [name for name in names if name not in covered]
        if len(covered) < 2 or len(covered) <= len(lacking):
            continue
        for name in lacking:
            taken, given = seen.shapes[name]
            if taken == given:
                said = f"{len(covered)} blocks of its kind have a skip, and it has none"
                yield Finding("missing_add", name, 0, 1, said, "add the stream: x + branch(x)")


def missing_rule(seen: Examination) -> Iterator[Finding]:
    """Sites whose rule carries nothing on, in a stack whose other rules do."""
    stacks = defaultdict(list)
    for write in seen.writes:
        if write.rule is not None:
            stacks[write.module.rpartition(".")[0]].append(write)
    for writes in stacks.values():
        carry = [write.rule.carries for write in writes if write.rule is not None]
        for write in writes if 2 * sum(carry) > len(carry) else ():
            if write.rule is not None and not write.rule.carries:
                said = f"{sum(carry)} sites of its stack carry the stream on, and it does not"
                yield Finding("missing_add", write.module, 0, 1, said, "one rule for all sites")


def covers(name: str, units: set[str]) -> bool:
    """Whether one of some units is a block, or lies in it."""
    return any(unit == name or unit.startswith(f"{name}.") for unit in units)


def unit_of(write: Write) -> str:
    """The path of the block that a write belongs to: the smallest that holds its whole branch."""
    names = [call.module for call in write.branch if call.weighted] or [write.module]
    common = common_path(names)
    return write.module if write.module.startswith(common) and write.module else common


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


def collapsed_features(seen: Examination) -> Iterator[Finding]:
    """A stream whose rows have become alike, though they were not at its start."""
    spreads = [float(spread) for spread in seen.spreads]
    if len(spreads) < 2 or spreads[0] < 100 * ALIKE:
        return
    for write, spread in zip(seen.writes, spreads, strict=True):
        if spread < ALIKE:
            said = f"their spread is {spread:.2g} of their size, {spreads[0]:.2g} at the start"
            cure = "a skip from the start keeps them apart: connection=residual, or initial"
            yield Finding("collapsed_features", write.module, spread, ALIKE, said, cure)
            return
