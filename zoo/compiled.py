"""Compilation of a net write by write: each kind once, however deep the net is."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from zoo.connections.history import HistoryConnection
from zoo.stack import Stack

KINDS = 64  # of writes in one process, each with its shapes and modes; PyTorch stops after 8


def compile_writes(model: nn.Module, **options: Any) -> None:
    """Compiles the writes of all stacks in place; writes of one kind and shape share their code.

    So the time does not grow with depth, where compiling the whole net (`model.compile()`) repeats
    every write. What is compiled is the connection with its branch; of a rule that keeps a history
    the branch alone, because there each write reads one entry more than the one before. A branch
    that holds a stack is compiled inside that. What lies outside of stacks, such as stem and head,
    stays eager.

    Args:
        model: the net.
        options: of `torch.compile`.

    >>> from zoo.connection import Site
    >>> from zoo.connections.additive import Residual
    >>> net = Stack([nn.Linear(2, 2)] * 9, [Residual(site) for site in Site.line(2, 9)])
    >>> compile_writes(net, backend="eager")
    >>> net(torch.zeros(1, 2)).shape
    torch.Size([1, 2])
    """
    config = torch._dynamo.config
    config.recompile_limit = max(config.recompile_limit, KINDS)
    for stack in [module for module in model.modules() if isinstance(module, Stack)]:
        for connection, branch, *_ in stack.steps():
            if not any(isinstance(part, Stack) for part in branch.modules()):
                keeps = isinstance(connection, HistoryConnection)
                (branch if keeps else connection).compile(**options)
