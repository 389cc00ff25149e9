"""The eigenvalues of what each layer does to a small change, and of what all layers do together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.autograd.functional import jacobian

from zoo.probes.plots import color, new_figure, plain, scale
from zoo.probes.watch.untouched import untouched
from zoo.stack import Stack

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SMALLEST = 1e-40  # that the figure shows


@dataclass(frozen=True)
class Spectrum:
    """The eigenvalues of the Jacobians of a stack of L writes on a state of n numbers.

    Args:
        layers: `[L, n]`, complex: those of each write, J_l.
        product: `[L, n]`, complex: those of the first l writes together, J_l ... J_1.
    """

    layers: Tensor
    product: Tensor


def spectrum(stack: Stack, x: Tensor, *args: Any) -> Spectrum:
    r"""The eigenvalues of every write's Jacobian at one input, and of the product up to each.

    The stack is in evaluation mode. On the linear layers of `skip_density.cell` this is W against
    I + A: without a skip the eigenvalues of a random layer fill the disc of radius s around 0,
    with one the same disc around 1. The product of L layers shrinks like s^L in the first case; in
    the second it keeps its size while L s^2 is small. Of a product, eigenvalues that are smaller
    than the largest by more than the precision are rounding.

    Equation: J_l = dx_{l+1} / dx_l, which is W of a linear layer and I + A of one with a skip;
        dL/dx_0 = (J_L ... J_1)^T dL/dx_L
    Source: Girko 1985, doi:10.1137/1129095 (the disc, for entries of variance s^2 / n); He et al.
        2016, arXiv:1603.05027, section 2 (the product with skips and without).

    Args:
        stack: whose state is one tensor, of one shape throughout.
        x: one input, without a batch axis. Everything is in its precision.
        args: further inputs of the branches.

    Errors:
        ValueError: a state of several tensors, or a change of shape.

    >>> from zoo.probes.gradients.random_skips import cell
    >>> x = torch.zeros(16)
    >>> w, i_plus_a = (spectrum(cell(9, k, 16, 0.01, "identity"), x).product[-1] for k in (0, 9))
    >>> bool(w.abs().max() < 1e-6), bool(i_plus_a.abs().min() > 0.1)
    (True, True)
    """
    layers, product = [], []
    with untouched(stack), torch.no_grad():
        stack.eval()
        states = list(stack.states(x[None], *args))
        if not all(isinstance(s, Tensor) and s.shape == states[0].shape for s in states):
            raise ValueError("the spectrum needs a state of one tensor, of one shape throughout")
        whole = torch.eye(states[0].numel()).to(x)
        for step, state in zip(stack.steps(), states, strict=False):
            matrix = jacobian(partial(written, step, args), state, vectorize=True)
            whole = matrix.view_as(whole) @ whole
            layers.append(torch.linalg.eigvals(matrix.view_as(whole)))
            product.append(torch.linalg.eigvals(whole))
    return Spectrum(torch.stack(layers), torch.stack(product))


def written(step: Sequence[Any], args: Sequence[Any], state: Tensor) -> Tensor:
    """The state after one write of a stack."""
    connection, branch, _, post = step
    after = connection(state, branch, *args)
    return after if post is None else connection.post(post, after)


def spectrum_figure(result: Spectrum | Mapping[str, Spectrum]) -> Figure:
    """A figure of all layers' eigenvalues in the plane, and of the product's sizes by depth.

    The circle is that of size 1. On the right are the middle of the sizes and, shaded, all of them.

    Args:
        result: of one stack, or of several under their labels.
    """
    results = {"": result} if isinstance(result, Spectrum) else result
    figure = new_figure(8.4, 3.8)
    left, right = figure.subplots(1, 2)
    turn = torch.linspace(0, 2 * torch.pi, 200)
    left.plot(turn.cos(), turn.sin(), color="0.5", linewidth=0.8)
    for number, (label, one) in enumerate(results.items()):
        values = one.layers.flatten().cpu()
        left.plot(values.real, values.imag, ".", markersize=2, alpha=0.5, color=color(number))
        sizes = one.product.abs().clamp(min=SMALLEST).cpu()
        depth = range(1, len(sizes) + 1)
        shown = plain(label) or None
        right.plot(depth, sizes.median(1).values, ".-", color=color(number), label=shown)
        low, high = sizes.amin(1), sizes.amax(1)
        right.fill_between(depth, low, high, color=color(number), alpha=0.2, linewidth=0)
    left.set_aspect("equal", "datalim")
    left.set_title("eigenvalues of every layer; circle: size 1", fontsize=9)
    left.set_xlabel("real part")
    left.set_ylabel("imaginary part")
    right.axhline(1, color="0.5", linewidth=0.8)
    scale(right)
    right.set_title("eigenvalues of the product", fontsize=9)
    right.set_xlabel("layers so far")
    right.set_ylabel("size: middle, smallest to largest")
    right.locator_params(axis="x", integer=True)
    if "" not in results:
        right.legend(frameon=False, fontsize=8)
    for axis in (left, right):
        axis.grid(alpha=0.3)
    return figure
