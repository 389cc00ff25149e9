"""Trained runs that answer new inputs."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any, ClassVar, get_args

import torch
from torch import nn

from tasks.inference.hub import as_described, located
from tasks.inference.restored import Weights, config_of, restored_task
from tasks.inference.signature import Signature
from zoo.errors import ConfigError
from zoo.run_folder import RunFolder

CALL = "zoo.load(...)(...)"  # for messages


class Trained(nn.Module):
    """A trained run as a module in evaluation. A subclass says how it is called.

    Args:
        learned: the task with its weights, in evaluation.
        config: of the run.
        folder: of the run.
        weights: which ones these are.

    Attributes:
        module: the net alone.
        task: name of the task.
        classes: the name of each output of the net; empty where outputs are no classes.
        config: all options of the run.
        result: what `result.json` says; empty where the run has not ended.
    """

    learned: Any
    hub_task: ClassVar[str] = "other"  # what the Hub calls such a task
    example: ClassVar[str] = "net(...)"  # of a call, for those who find the net elsewhere

    def __init__(
        self, learned: Any, config: dict[str, Any], folder: RunFolder, weights: Weights = "last"
    ):
        super().__init__()
        vars(self)["learned"] = learned  # no submodule: this one has the net already
        self.config, self.folder, self.weights = config, folder, weights
        self.task: str = config["choices"]["task"]
        self.module: nn.Module = learned.model
        self.result = folder.result()
        self.eval()

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(getattr(self.learned.data, "classes", ()))

    def prepare(self, *inputs: Any) -> tuple[Any, ...]:
        """Returns what the module takes, on its device: `module(*prepare(inputs))`."""
        raise NotImplementedError(f"task={self.task} does not say how its net is called")

    def signature(self) -> Signature:
        """How other programs call the net; `export` writes and checks it by this."""
        what = f"task={self.task} does not say how other programs call its net"
        fix = f"give {type(self).__name__} a method signature"
        raise ConfigError(what, "export", fix)

    def forward(self, *inputs: Any, **options: Any) -> Any:
        """The answer of the net."""
        with torch.no_grad():
            return self.module(*self.prepare(*inputs), **options)

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        """Moves the net; inputs are brought to its new device."""
        super()._apply(fn, recurse)
        self.learned.compute_device = next(self.parameters()).device
        self.learned.to(self.learned.compute_device)
        return self

    def __repr__(self) -> str:
        rest = ("model", "connection", "data")
        names = ", ".join(f"{group}={self.config['choices'].get(group)}" for group in rest)
        return f"<trained task={self.task}, {names}, from {self.folder.path}>"


def load(
    folder: str | os.PathLike[str],
    weights: Weights | None = None,
    device: str | None = None,
    revision: str | None = None,
) -> Trained:
    """Returns a trained run that answers new inputs: what `zoo.load` does and documents."""
    if weights not in (None, *get_args(Weights)):
        raise ConfigError(f"weights={weights!r}", "zoo.load", "give last or best")
    run_folder = RunFolder(located(folder, revision))
    with as_described(run_folder.path):
        return trained(run_folder, weights, device)


def trained(run_folder: RunFolder, weights: Weights | None, device: str | None) -> Trained:
    """The trained run of a folder."""
    config = config_of(run_folder)
    plain = config.plain()
    with torch.random.fork_rng(devices=[]):  # of the weights that are overwritten
        learned, held = restored_task(config, run_folder, weights)
    try:
        learned.compute_device = torch.device(device) if device else learned.compute_device
        learned.to(learned.compute_device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0][:120]
        raise ConfigError(reason, f"device={device}", "give cpu, or leave it out") from None
    learned.eval()
    learned.setup("evaluate")
    module, _, name = learned.trained.rpartition(".")
    return getattr(import_module(module), name)(learned, plain, run_folder, held)
