"""What a GPU is given to do, recorded as CUDA graphs: once for each shape of a batch."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from tasks.training.two_parts import Input
from tasks.training.uncaptured import refusing_what_cannot_repeat

WARM_UP = 3  # calls of each kind that are made as ever, in which libraries choose their kernels
MOST = 8  # kinds that are recorded


class Recorder:
    """Records what a function gives the GPU to do.

    Args:
        draws: generators of the GPU that the function draws from beside PyTorch's own.
    """

    def __init__(self, draws: Sequence[torch.Generator]):
        self.draws = draws
        self.stream = torch.cuda.Stream()
        self.pool = torch.cuda.graph_pool_handle()

    def warm_up(self, function: Callable[[], Any]) -> Any:
        """Calls a function with the stream on which it will be recorded; returns its results."""
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            results = function()
        torch.cuda.current_stream().wait_stream(self.stream)
        return results

    def record(self, function: Callable[[], Any]) -> tuple[Any, Callable[[], None]]:
        """Returns where the results of a function lie, and what has the GPU do its work.

        The work has not been done by then. All recordings share their memory: what one has
        computed holds until another is repeated.
        """
        graph = torch.cuda.CUDAGraph()
        for draws in self.draws:
            graph.register_generator_state(draws)
        with torch.cuda.graph(graph, pool=self.pool, stream=self.stream):
            results = function()
        return results, graph.replay


@dataclass
class Kind:
    """Work on batches that have the same shapes.

    Args:
        done: how often it has been done as ever.
        inputs: memory from which the recorded work reads its batch.
        results: where it leaves its tensors.
        repeat: has the GPU do the recorded work; None before it is recorded.
    """

    done: int = 0
    inputs: list[Input] = field(default_factory=list)
    results: Any = None
    repeat: Callable[[], None] | None = None

    def show(self, prepared: Sequence[Input]) -> None:
        """Copies a batch to where the recorded work reads it."""
        for place, value in zip(self.inputs, prepared, strict=True):
            if isinstance(place, Tensor) and isinstance(value, Tensor):
                place.copy_(value)


class Repeated:
    """Work that a GPU repeats: the first batches of a kind as ever, the others by a recording.

    Args:
        recorder: that records it.
        what: it is, for messages.
    Attributes:
        calls: how often the work was done.
        repeats: how often by a recording.
    """

    def __init__(self, recorder: Recorder, what: str):
        self.recorder, self.what = recorder, what
        self.kinds: dict[tuple[Any, ...], Kind] = {}
        self.calls = self.repeats = 0

    @property
    def recorded(self) -> int:
        """The number of kinds that are recorded."""
        return sum(kind.repeat is not None for kind in self.kinds.values())

    def __call__(
        self,
        prepared: Sequence[Input],
        work: Callable[[Sequence[Input]], Any],
        recording: contextlib.AbstractContextManager[Any] = contextlib.nullcontext(),  # noqa: B008
    ) -> tuple[Any, bool]:
        """Does the work on a batch; returns its tensors, and whether it came from a recording.

        Args:
            prepared: the batch: all that changes from one to the next.
            work: that is done on what it is given.
            recording: entered while the work is recorded.
        """
        self.calls += 1
        kind = self.kinds.setdefault((*map(form, prepared),), Kind())
        if not kind.repeat and (kind.done < WARM_UP or self.recorded == MOST):
            kind.done += 1
            return self.recorder.warm_up(lambda: work(prepared)), False
        if kind.repeat:
            kind.show(prepared)
        else:
            kind.inputs = [*map(own, prepared)]
            with recording, refusing_what_cannot_repeat(self.what):
                kind.results, kind.repeat = self.recorder.record(lambda: work(kind.inputs))
        kind.repeat()
        self.repeats += 1
        return tree_map_only(Tensor, torch.clone, kind.results), True


def form(value: Input) -> Any:
    """What must be the same in two batches for the same recorded work."""
    return (value.shape, value.stride(), value.dtype) if isinstance(value, Tensor) else value


def own(value: Input) -> Input:
    """A copy of a tensor; anything else as it is."""
    return value.clone() if isinstance(value, Tensor) else value
