"""Lightning's own hooks inside the step are hidden, those of a class and its parents are called."""

import pytest
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import nn

from tasks.fast_callback import HOOKS, FastCallback
from tasks.training.fast_module import FastModule
from tasks.training.process import logged
from tasks.training.trainer import QUIET


class Net(FastModule):
    def __init__(self):
        super().__init__()
        self.model = nn.Linear(2, 1)
        self.calls = []

    def train_dataloader(self):
        return torch.ones(3, 2)

    def training_step(self, x, index):
        return self.model(x).sum()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


class Mixin(LightningModule):
    def on_after_backward(self):
        self.calls.append("mixin")


class Mine(Net, Mixin):
    def on_train_batch_end(self, *given):
        super().on_train_batch_end(*given)
        self.calls.append("own")

    def optimizer_zero_grad(self, *given):
        super().optimizer_zero_grad(*given)
        self.calls.append("zero")


class Counts(Callback):
    calls = 0

    def on_train_batch_end(self, *given):
        self.calls += 1


class Parent(FastCallback, Counts):
    def on_before_optimizer_step(self, *given):
        super().on_before_optimizer_step(*given)
        self.calls += 10


def test_hooks_of_a_class_and_its_parents_are_called():
    net, callback = Mine(), Parent()
    with logged(None):
        Trainer(accelerator="cpu", max_steps=3, callbacks=[callback], **QUIET).fit(net)
    assert net.calls == ["zero", "mixin", "own"] * 3
    assert callback.calls == 33


@pytest.mark.parametrize("kind", [FastModule, FastCallback])
def test_hooks_that_lightning_leaves_empty_are_hidden(kind):
    class Own(kind):
        def on_after_backward(self, *_):
            """Not hidden, though empty too."""

    assert all(getattr(kind(), hook) is None for hook in HOOKS)
    own = Own()
    assert [hook for hook in HOOKS if getattr(own, hook)] == ["on_after_backward"]


def test_a_plain_attribute_may_become_a_parameter():
    module = FastModule()
    module.scale = None
    module.scale = nn.Parameter(torch.ones(1))
    assert [name for name, _ in module.named_parameters()] == ["scale"]
