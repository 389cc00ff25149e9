"""A net whose stack is left to a probe for a moment: its own head then reads every depth."""

from __future__ import annotations

from torch import Tensor, nn

from zoo.stack import Stack


def only_stack(net: nn.Module) -> Stack:
    """The one stack of a net.

    Errors:
        ValueError: it has none, or several.
    """
    stacks = [module for module in net.modules() if isinstance(module, Stack)]
    if len(stacks) != 1:
        raise ValueError(f"the probe follows one stack, and this net has {len(stacks)}")
    return stacks[0]


def accuracy(net: nn.Module, batch: tuple[Tensor, Tensor]) -> float:
    """The share of labels that have the largest logit.

    Args:
        net: gives logits `[..., classes]`.
        batch: inputs and labels `[...]`.
    """
    x, labels = batch
    return (net(x).argmax(-1) == labels).double().mean().item()


def cross_entropy(net: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    """The mean cross-entropy of a net's logits.

    Args:
        net: gives logits `[..., classes]`.
        batch: inputs and labels `[...]`.
    """
    x, labels = batch
    return nn.functional.cross_entropy(net(x).flatten(0, -2), labels.flatten())
