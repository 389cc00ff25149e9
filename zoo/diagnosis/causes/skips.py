"""What is wrong with the skips of a net, its branches, and the stream that they write to."""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import torch

from zoo.diagnosis.examination import Examination
from zoo.diagnosis.finding import Finding
from zoo.probes.watch.writes import Write

IDLE = 1e-3  # what a branch adds over the stream, and its gradient over that of other branches
SMALL = 1e-2  # root mean square of weights
GROWTH = 150.0  # times the growth of a sum of as many independent writes
ALIKE = 1e-4  # spread of the rows of a stream over their size
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
    """Branches that add next to nothing while their own weights get next to no gradient."""
    if seen.profile is None:
        return
    gradients = [branch_gradient(seen, write) for write in seen.writes]
    usual = float(torch.tensor([g for g in gradients if g is not None] or [0.0]).median())
    sizes = seen.profile.ratio.clone()
    for i, write in enumerate(seen.writes):
        if write.rule is not None and any(True for _ in write.rule.parameters()):
            sizes[i] = min(sizes[i], seen.added[i].cpu())  # its own factors may silence the branch
    for write, ratio, gradient in zip(seen.writes, sizes, gradients, strict=True):
        if gradient is not None and ratio < IDLE and gradient <= IDLE * usual:
            said = f"it adds {float(ratio):.2g} of the stream's size, with hardly a gradient"
            cure = "look for a detach, a frozen layer or a scale that is not learned"
            yield Finding("idle_branch", unit_of(write), float(ratio), IDLE, said, cure)


def branch_gradient(seen: Examination, write: Write) -> float | None:
    """The largest size of a gradient over that of its weights in a branch; None without any.

    Weights smaller than `SMALL`, such as biases of zero, count as if they were of that size.
    """
    names = {call.module for call in write.branch if call.weighted}
    names |= {write.module} if write.rule is not None else set()
    sizes = []
    for name in names:
        for key, p in seen.module.get_submodule(name).named_parameters(name, recurse=False):
            gradient = seen.gradients.get(key)
            least = SMALL * math.sqrt(p.numel())
            sizes.append(
                0.0 if gradient is None else float(gradient.norm() / p.detach().norm().clamp(least))
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
            yield Finding("broken_identity", write.module, 1, 0, said, cure)


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
    """Blocks with fewer writes than most of their siblings of the same class."""
    yield from missing_rule(seen)
    places = [unit_of(write) for write in seen.writes if write.rule is None]
    families = defaultdict(list)
    for name, part in seen.module.named_modules():
        if name in seen.shapes and any(True for _ in part.parameters()):
            families[name.rpartition(".")[0], type(part)].append(name)
    for names in families.values():
        counts = {name: sum(covers(name, place) for place in places) for name in names}
        usual, many = Counter(counts.values()).most_common(1)[0]
        if many < 2 or 2 * many <= len(names):
            continue
        for name, count in counts.items():
            taken, given = seen.shapes[name]
            if count < usual and taken == given:
                said = f"{many} blocks of its kind add to the stream {usual} times, it {count}"
                yield Finding("missing_add", name, count, usual, said, "add it: x + branch(x)")


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


def covers(name: str, unit: str) -> bool:
    """Whether a unit is a block, or lies in it."""
    return unit == name or unit.startswith(f"{name}.")


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
    """A stream whose rows, or whose examples, have become alike, though they were not at its start.

    In a net without skips it is the last function with weights before the head that counts.
    """
    if len(seen.alike) < 2:
        return
    streams = seen.alike if len(seen.writes) > 1 else seen.alike[-1:]
    table = torch.stack([spread for _, spread in streams]).cpu()
    start = seen.alike[0][1].cpu()
    for (module, _), spreads in zip(streams, table, strict=True):
        small = (spreads < ALIKE) & (start >= 100 * ALIKE)
        if small.any():
            kind = int(small.nonzero()[0])
            spread, first = float(spreads[kind]), float(start[kind])
            what = ("their rows", "the examples")[kind]
            said = f"the spread of {what} is {spread:.2g} of their size, {first:.2g} at the start"
            cure = "a skip from the start keeps them apart: connection=residual, or initial"
            yield Finding("collapsed_features", module, spread, ALIKE, said, cure)
            return
