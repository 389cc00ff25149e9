"""The weights of a branch in the order of its layers, and those that end it."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn


def factors(branch: nn.Module) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Yields weight (or gain) and bias of all layers and norms of a branch that learn, in order."""
    for module in branch.modules():
        weight = getattr(module, "weight", None)
        if isinstance(weight, nn.Parameter) and weight.requires_grad:
            yield weight, getattr(module, "bias", None)


def last(branch: nn.Module, axes: int = 1) -> list[tuple[Tensor, Tensor | None]]:
    """Weight and bias of the last layer of a branch, or of the layers whose sum ends it.

    A module lists in `ends` the layers whose sum is its output.

    Args:
        branch: the branch.
        axes: fewest axes of a weight that counts; 2 passes over norms.
    """
    factor_of_end = [factor for factor in factors(branch) if factor[0].ndim >= axes][-1:]
    for module in branch.modules():
        ends: tuple[str, ...] = getattr(module, "ends", ())
        if ends and any(factor_of_end[0][0] is parameter for parameter in module.parameters()):
            return [factor for name in ends for factor in factors(module.get_submodule(name))]
    return factor_of_end
