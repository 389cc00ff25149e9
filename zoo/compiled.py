"""Compilation of a net write by write: each kind once, however deep the net is."""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_leaves

from zoo.connection import Connection
from zoo.connections.history import HistoryConnection
from zoo.stack import Stack

log = logging.getLogger("zoo")
KINDS = 4096  # of writes in one run, each with its modes; PyTorch stops after 8
KEPT = 1024  # kinds beyond which a process forgets those of earlier runs


class CompiledWrite:
    """A write that runs compiled at the shapes of its first call in a mode, and eager at others.

    So a smaller last batch, or a graph that has other edges in every step, compiles nothing. The
    modes are those of training and evaluation, with and without gradients. Calls for which
    `torch.compiler.set_stance` forbids compiled code do not count. Writes of one kind, whose
    module types, options and shapes are the same, share their code.

    Args:
        module: a connection that calls its branch, or a branch.
        options: of `torch.compile`.
    """

    def __init__(self, module: nn.Module, **options: Any):
        self.module = module
        self.eager = module._call_impl
        self.compiled = torch.compile(module._call_impl, dynamic=False, **options)
        self.first: dict[tuple[bool, bool], list[Any]] = {}  # the shapes, by mode

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        compiled = torch._dynamo.eval_frame._stance.stance != "force_eager"
        if compiled:
            mode = self.module.training, torch.is_grad_enabled()
            shapes = [getattr(leaf, "shape", None) for leaf in tree_leaves((args, kwargs))]
            compiled = self.first.setdefault(mode, shapes) == shapes
        return (self.compiled if compiled else self.eager)(*args, **kwargs)


def compile_writes(model: nn.Module, **options: Any) -> None:
    """Compiles the writes of all stacks in place; writes of one kind and shape share their code.

    So the time does not grow with depth, where compiling the whole net (`model.compile()`) repeats
    every write. What is compiled is the connection with its branch; of a rule that keeps a history
    the branch alone, because there each write reads one entry more than the one before; and of one
    that is undone in the backward pass, which draws dropout again by the eager code, neither. A
    branch that holds a stack is compiled inside that. What lies outside of stacks, such as stem and
    head, stays eager. Later nets of this process take the code of the kinds that they share with
    earlier ones; which calls run compiled follows from the net's own calls alone, see
    `CompiledWrite`. Where nothing can be compiled a warning says so.

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
    from torch._dynamo import config, eval_frame  # slow to import

    if len(eval_frame._debug_get_cache_entry_list(Connection.forward)) > KEPT:
        torch.compiler.reset()
    config.recompile_limit = config.accumulated_recompile_limit = KINDS
    stacks = [module for module in model.modules() if isinstance(module, Stack)]
    regions = [
        branch if isinstance(connection, HistoryConnection) else connection
        for stack in stacks
        for connection, branch, *_ in stack.steps()
        if not connection.inverts and not any(isinstance(p, Stack) for p in branch.modules())
    ]
    for region in regions:
        region._compiled_call_impl = CompiledWrite(region, **options)
    if not regions:
        log.warning("trainer.compile=true finds no write to compile; give trainer.compile=whole")
