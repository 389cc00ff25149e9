"""Compilation of a net write by write: each kind once, however deep the net is."""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import nn

from zoo.connections.history import HistoryConnection
from zoo.stack import Stack

log = logging.getLogger("zoo")
KINDS = 4096  # of writes in one run, each with its shapes and modes; PyTorch stops after 8


def compile_writes(model: nn.Module, **options: Any) -> None:
    """Compiles the writes of all stacks in place; writes of one kind and shape share their code.

    So the time does not grow with depth, where compiling the whole net (`model.compile()`) repeats
    every write. What is compiled is the connection with its branch; of a rule that keeps a history
    the branch alone, because there each write reads one entry more than the one before; and of one
    that is undone in the backward pass, which draws dropout again by the eager code, neither. A
    branch that holds a stack is compiled inside that. What lies outside of stacks, such as stem and
    head, stays eager. What was compiled before in this process is forgotten, so that a run does not
    depend on the runs before it. Where nothing can be compiled a warning says so.

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
    torch.compiler.reset()
    config = torch._dynamo.config
    config.recompile_limit = config.accumulated_recompile_limit = KINDS
    stacks = [module for module in model.modules() if isinstance(module, Stack)]
    regions = [
        branch if isinstance(connection, HistoryConnection) else connection
        for stack in stacks
        for connection, branch, *_ in stack.steps()
        if not connection.inverts and not any(isinstance(p, Stack) for p in branch.modules())
    ]
    for region in regions:
        region.compile(dynamic=False, **options)
    if not regions:
        log.warning("trainer.compile=true finds no write to compile; give trainer.compile=whole")
