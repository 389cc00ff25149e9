"""Sums of a stream and a branch that are missing, or made twice."""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

from torch import Tensor

from zoo.diagnosis.causes.skips import place_of, unit_of
from zoo.diagnosis.examination import Examination
from zoo.diagnosis.finding import Finding
from zoo.probes.watch.writes import Write


def double_add(seen: Examination) -> Iterator[Finding]:
    """Sums of a stream with a branch that has added the same stream already, or of its double."""
    sums = sums_of(seen)
    sizes = {out.call.number: out.size for out in seen.outputs}
    for write in seen.writes:
        if doubled(write, sizes):
            cure = "add the stream once: x + branch(x)"
            yield Finding("double_add", place_of(write), 2, 1, "the skip brings it twice", cure)
            continue
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
            yield Finding("double_add", place_of(write), 2, 1, said, cure)


def doubled(write: Write, sizes: Mapping[int, Tensor]) -> bool:
    """Whether the skip of a sum is one function of the stream that has twice its size."""
    if write.rule or len(write.skip) != 1 or write.skip[0].weighted or write.source not in sizes:
        return False
    twice = float(sizes[write.skip[0].number] / sizes[write.source].clamp(min=1e-30))
    return math.isclose(twice, 2, rel_tol=1e-5)


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
    """Blocks with fewer writes than most of their siblings of the same class.

    A block that does nothing in this pass, as stochastic depth has it, lacks none.
    """
    yield from missing_rule(seen)
    places = [unit_of(write) for write in seen.writes if write.rule is None]
    layers = {call.module for call in seen.calls if call.weighted}
    families = defaultdict(list)
    for name, part in seen.module.named_modules():
        if name in seen.shapes and any(covers(name, layer) for layer in layers):
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
