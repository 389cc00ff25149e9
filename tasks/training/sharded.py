"""A model whose weights, gradients and optimiser are spread over the processes of a run (FSDP2)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.distributed import _composable_state
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

from tasks.parts import whole
from zoo.stack import Stack

Form = list[tuple[nn.Module, type, dict[str, Any]]]  # modules with their classes and attributes
LIVING = ("_buffers", "training")  # attributes that a change of the form leaves as they are


class ShardedModel:
    """A model in parts: each process holds an equal share of every parameter.

    Each branch is a unit, and so is what lies outside of branches: its weights are gathered when
    it is called, forward and backward, and forgotten afterwards; of their gradients, averaged over
    processes, each process keeps its share. Parameters without axes stay whole in all processes.

    Args:
        model: whole, the same in all processes; weights on the CPU come to the device in parts.
        mesh: the processes, and the kind of their devices.
        gathered: the type in which branches' layers that multiply are gathered, as autocast would
            have them, so that norms and coefficients stay exact; None: their own.

    Attributes:
        alone: the parameters that stay whole.
    """

    def __init__(self, model: nn.Module, mesh: DeviceMesh, gathered: torch.dtype | None = None):
        self.model = model
        self.form = form_of(model)
        self.layouts = {each: (each.shape, each.stride()) for each in model.parameters()}
        self.alone = [each for each in self.layouts if not each.ndim]
        for parameter in self.layouts:
            parameter.data = parameter.data.contiguous()
        options: dict[str, Any] = {"mesh": mesh, "ignored_params": set(self.alone)}
        policy = MixedPrecisionPolicy(gathered, torch.float32, cast_forward_inputs=False)
        stacks = [module for module in model.modules() if isinstance(module, Stack)]
        products: Any = (nn.Linear, nn.Conv2d) if gathered else ()
        divided: set[nn.Module] = set()
        for branch in [each for stack in reversed(stacks) for each in stack.branches]:
            fresh = [module for module in branch.modules() if module not in divided]
            layers = [module for module in fresh if isinstance(module, products)]
            if layers:
                fully_shard(layers, mp_policy=policy, **options)
            fully_shard(branch, **options)
            divided.update(fresh)
        fully_shard(model, reshard_after_forward=True, **options)
        self.forget()

    def present(self) -> dict[nn.Parameter, Any]:
        """The parts of this process by the parameters of the whole model."""
        return {
            parameter: module._parameters[name]
            for module, _, attributes in self.form
            for name, parameter in attributes["_parameters"].items()
            if parameter is not None
        }

    def forget(self) -> None:
        """Frees the memory of the whole weights."""
        for parameter in self.layouts.keys() - self.alone:
            parameter.data = parameter.data.new_empty(0)

    def make_whole(self, device: torch.device | None = None, read: bool = True) -> None:
        """Makes the model what it was before it was in parts.

        Args:
            device: gets the weights; None: they stay where they are.
            read: whether they have their present values, which all processes ask for at once;
                otherwise those of fresh memory.
        """
        for parameter, part in self.present().items():
            if parameter is part:
                continue
            shape, stride = self.layouts[parameter]
            full = part.detach().new_empty(0) if not read else whole(part.detach())
            place = device or full.device
            data = torch.empty_strided(shape, stride, dtype=part.dtype, device=place)
            parameter.data = data.copy_(full) if read else data
        take_form(self.form)

    def end(self, read: bool) -> None:
        """Makes the model whole for good, on the CPU, with its weights if they are to be `read`."""
        self.make_whole(torch.device("cpu"), read)
        for module, *_ in self.form:  # which PyTorch would not divide a second time
            _composable_state._module_state_mapping.pop(module, None)

    @contextlib.contextmanager
    def gathered(self) -> Iterator[None]:
        """Within, every process has the whole model, to use without change; all enter at once."""
        parts = form_of(self.model)
        self.make_whole()
        try:
            yield
        finally:
            take_form(parts)
            self.forget()


def form_of(model: nn.Module) -> Form:
    """What the modules of a model are: their classes, parameters, hooks and other attributes."""
    return [
        (module, type(module), {name: copied(each) for name, each in vars(module).items()})
        for module in model.modules()
    ]


def copied(attribute: Any) -> Any:
    """An attribute of a module, of a dictionary a copy."""
    return attribute.copy() if isinstance(attribute, dict) else attribute


def take_form(form: Form) -> None:
    """Makes modules again what they were."""
    for module, cls, attributes in form:
        living = {name: vars(module)[name] for name in LIVING}
        vars(module).clear()
        vars(module).update({name: copied(each) for name, each in attributes.items()} | living)
        module.__class__ = cls
