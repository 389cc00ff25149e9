"""What a class lacks of the protocol of its kind."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from torch import nn

from tasks.training import protocols
from tasks.training.module import Task
from zoo.connection import Connection

if TYPE_CHECKING:
    from tasks.training.loggers import NoLogger
    from tasks.training.optim import Optimizer
    from zoo.init import Default
    from zoo.norm import Placement

BASES: dict[type, type] = {
    protocols.TaskClass: Task,
    protocols.ModelClass: nn.Module,
    protocols.Rule: Connection,
}  # what a class of a kind must inherit
PROMISES = (Connection.write, nn.Module.forward)  # methods of a base that a class must give


def members(protocol: type) -> list[str]:
    """The names that a protocol lists, those of its bases first.

    >>> members(protocols.OutlinedData)
    ['parts', 'notes', 'summary', 'digest', 'metadata']
    """
    listed = [
        [*vars(base).get("__annotations__", {}), *vars(base)] for base in reversed(protocol.__mro__)
    ]
    return [name for names in listed for name in names if not name.startswith("_")]


def lacking(candidate: Any, protocol: type) -> list[str]:
    """What a class, or an object of one, lacks of a protocol: a base class, or names."""
    base = BASES.get(protocol, object)
    if isinstance(candidate, type) and not issubclass(candidate, base):
        return [f"the base class {base.__module__}.{base.__qualname__}"]
    return [name for name in members(protocol) if not has_member(candidate, protocol, name)]


def has_member(candidate: Any, protocol: type, name: str) -> bool:
    """Whether a class, or an object of one, has a member of a protocol and not only its promise."""
    member = getattr(candidate, name, None)
    method = inspect.isfunction(getattr(protocol, name, None))
    promise = getattr(member, "__isabstractmethod__", False) or any(member is p for p in PROMISES)
    return (callable(member) if method else member is not None) and not promise


if TYPE_CHECKING:  # the base classes keep what the protocols say

    def fulfilled(
        task: Task,
        rule: Connection,
        norm: Placement,
        init: Default,
        optimizer: Optimizer,
        logger: NoLogger,
    ) -> tuple[
        protocols.TaskClass,
        protocols.Rule,
        protocols.NormPlacement,
        protocols.Init,
        protocols.OptimizerOptions,
        protocols.Logger,
    ]:
        return task, rule, norm, init, optimizer, logger
