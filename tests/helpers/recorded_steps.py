"""Recordings of the second device's work, in the place of CUDA graphs.

What is repeated is each operation, on the very tensors that it had when it was recorded: its
result goes to the memory that it had then, and nothing of Python's runs again. So a number or a
choice of the host stays what it was, as in a CUDA graph, and what waits for the device or copies
between it and the host is refused. Not seen: memory that was given back meanwhile, streams.
"""

import torch
from second_device import State, work
from torch.utils._pytree import tree_leaves


class Recorder:
    """Plays the part of `tasks.training.recording.Recorder`, with its name and methods."""

    def __init__(self, draws):
        assert not draws

    def warm_up(self, function):
        return function()

    def record(self, function):
        """Unlike a GPU it has done the work once by then, which is left out of the first repeat."""
        State.tape = tape = []
        try:
            results = function()
        finally:
            State.tape = None
        return results, Repeats(tape)


class Repeats:
    """Does the operations of a tape again."""

    def __init__(self, tape):
        self.tape = tape
        self.done = True

    def __call__(self):
        if self.done:
            self.done = False
            return
        with torch.no_grad():
            for call, args, kwargs, found in self.tape:
                again = tree_leaves(work(call, args, kwargs))
                for old, new in zip(tree_leaves(found), again, strict=True):
                    if isinstance(old, torch.Tensor) and storage(old) != storage(new):
                        old.copy_(new)


def storage(tensor):
    """The memory of a tensor; sparse ones are constants."""
    return tensor.untyped_storage().data_ptr() if tensor.layout is torch.strided else None
