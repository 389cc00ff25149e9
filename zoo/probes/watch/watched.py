"""Calls a watch at every write of the forward passes of any net."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any

import torch
import torch.utils.checkpoint
from torch import nn

from zoo.probes.watch.function_mode import Watched
from zoo.probes.watch.untouched import parts_of, replaced, untouched
from zoo.probes.watch.writes import Watch


@contextmanager
def watched(module: nn.Module, watch: Watch, sums: bool = True) -> Iterator[Watched]:
    """Calls a watch at every write of the forward passes of a net inside the block.

    In nets of this project the writes are those of every `Connection`. Elsewhere a sum is a write
    where both of its terms come from one value, one by at most two functions with weights (the
    skip: nothing, or a projection) and the other by more of them (the branch). Numbers and lists
    of numbers are no streams, and what is summed outside of every module belongs to the loss.

    Args:
        module: the net; compiled parts of it run uncompiled, and nothing is computed twice to save
            memory.
        watch: called at every write.
        sums: whether sums are followed; without them the writes are those of connections alone, a
            write does not know its calls, and a pass takes less time.
    """
    following = Watched(watch)
    with ExitStack() as stack:
        stack.enter_context(untouched(module))
        stack.enter_context(uncheckpointed())
        for name, part in parts_of(module).items():
            for handle in following.hooks(name, part) if sums else ():
                stack.callback(handle.remove)
            for method, value in following.replacements(name, part).items():
                stack.enter_context(replaced(part, method, value))
        stack.enter_context(torch.compiler.set_stance("force_eager"))
        if sums:
            stack.enter_context(following)
        yield following


@contextmanager
def uncheckpointed() -> Iterator[None]:
    """Lets `torch.utils.checkpoint.checkpoint` store activations, whoever has imported it."""

    def stored(*_: Any, **__: Any) -> Iterator[None]:
        yield

    def applied(function: Callable[..., Any], preserve: bool, *args: Any) -> Any:
        return function(*args)

    home = torch.utils.checkpoint
    with (
        replaced(home, "_checkpoint_without_reentrant_generator", stored),
        replaced(home, "CheckpointFunction", SimpleNamespace(apply=applied)),
    ):
        yield
