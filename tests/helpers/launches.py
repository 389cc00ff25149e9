"""How many kernels a step launches: each operation that computes or copies is taken for one."""

import contextlib
from collections import Counter

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tasks.fast_callback import FastCallback
from tasks.training.trainer import TrainerOptions

aten = torch.ops.aten
NO_KERNEL = {  # beside views
    *(aten.empty, aten.empty_like, aten.empty_strided, aten.new_empty, aten.new_empty_strided),
    *(aten.detach, aten.alias, aten.lift_fresh, aten._unsafe_view, aten.is_same_size),
}


class Launches(TorchDispatchMode):
    """Counts operations by name. A list of tensors is one, for which a GPU may need several."""

    def __init__(self):
        super().__init__()
        self.calls = Counter()

    def __torch_dispatch__(self, call, types, args=(), kwargs=None):
        computes = call.namespace != "profiler" and not call.is_view
        if computes and call.overloadpacket not in NO_KERNEL:
            self.calls[call.overloadpacket.__name__] += 1
        return call(*args, **(kwargs or {}))


class Probe(FastCallback):
    """Keeps what each step launched: until its gradient was there, and from there on."""

    def __init__(self, launches):
        self.launches = launches
        self.steps = []
        self.begun = self.halfway = Counter()

    def on_train_batch_start(self, trainer, *_):
        if trainer.global_step:
            now = self.launches.calls.copy()
            self.steps.append((self.halfway - self.begun, now - self.halfway))
        self.begun = self.launches.calls.copy()

    def on_before_optimizer_step(self, *_):
        self.halfway = self.launches.calls.copy()


@contextlib.contextmanager
def counted_launches(monkeypatch):
    """A list of the steps of a run inside the block but for the last, each a pair of counts."""
    with Launches() as launches:
        probe, trainer = Probe(launches), TrainerOptions.trainer

        def probed(self, task, callbacks, plugins=()):
            return trainer(self, task, [*callbacks, probe], plugins)

        monkeypatch.setattr(TrainerOptions, "trainer", probed)
        yield probe.steps
