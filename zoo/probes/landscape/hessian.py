"""The curvature of the loss: the ends of the spectrum of its Hessian."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from zoo.errors import ConfigError
from zoo.probes.landscape.lanczos import Curvature, Vector, lanczos
from zoo.probes.plots import color, new_figure, plain
from zoo.probes.watch.moved import differentiable, value
from zoo.probes.watch.untouched import Loss, untouched
from zoo.seeding import generator

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def curvature(
    module: nn.Module,
    batch: Any,
    loss: Loss,
    steps: int = 60,
    tolerance: float = 1e-2,
    seed: int = 0,
) -> Curvature:
    r"""The largest and the smallest eigenvalue of the Hessian of a loss by a net's weights.

    The Hessian is never built: Lanczos' method needs its product with a vector, which is the
    gradient of a gradient. Three vectors of the size of the weights are kept; without the others
    copies of an eigenvalue appear in the spectrum, which its ends do not feel. The net is in
    evaluation mode. Nothing is compiled: of a compiled net the uncompiled code runs, because a
    compiled second derivative can be silently wrong. Attention is computed by its formula, for
    which second derivatives exist.

    Equation: H v = d(g . v) / dw with g = dL / dw; eigenvalues of the tridiagonal matrix
        V^T H V, each with the error |b_k s_k|
    Source: Pearlmutter 1994, doi:10.1162/neco.1994.6.1.147 (product); Parlett 1998, The Symmetric
        Eigenvalue Problem, chapter 13 (Lanczos); Li et al. 2018, arXiv:1712.09913, section 6
        (|smallest / largest| as a measure of convexity).

    Args:
        module: the net; the Hessian is that of the weights that need a gradient.
        batch: what the loss takes.
        loss: `loss(module, batch)` is a scalar that can be differentiated twice.
        steps: most products with the Hessian.
        tolerance: the error of each of the two, as a share of it, at which the search ends.
        seed: of the first vector, and of what the loss draws.

    Errors:
        ConfigError: the loss is no scalar, is not finite, does not depend on a weight that needs a
            gradient, or has no second derivative or none that is finite; no steps.

    >>> net = nn.Linear(2, 1, bias=False)
    >>> steep = torch.tensor([[3.0, 0.0], [0.0, 1.0]])
    >>> ends = curvature(net, steep, lambda m, x: m(x).square().sum() / 2)
    >>> round(ends.largest, 4), round(ends.smallest, 4)
    (9.0, 1.0)
    """
    if steps < 1:
        raise ConfigError(f"steps={steps}", "hessian", "choose a number above 0")
    weights = {name: p for name, p in module.named_parameters() if p.requires_grad}
    with untouched(module), uncompiled():
        module.eval()
        multiply = hessian_product(value(module, batch, loss, seed), list(weights.values()))
        vector = [
            torch.randn(w.shape, generator=generator(seed, "lanczos", name)).to(w)
            for name, w in weights.items()
        ]
        return lanczos(multiply, vector, steps, tolerance)


@contextmanager
def uncompiled() -> Iterator[None]:
    """Runs the uncompiled code of compiled nets, and attention by its formula."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    with torch.compiler.set_stance("force_eager"), sdpa_kernel(SDPBackend.MATH):
        yield


def hessian_product(at: Tensor, weights: Sequence[Tensor]) -> Callable[[Vector], Vector]:
    """A function that multiplies a vector, a tensor for each weight, by the Hessian of a loss.

    Args:
        at: the loss, with its graph.
        weights: by which it is differentiated.

    Errors:
        ConfigError: the loss depends on none of them, is not finite or has no second derivative.
    """
    differentiable(at, weights)
    slopes = torch.autograd.grad(at, weights, create_graph=True, materialize_grads=True)
    if not twice_differentiable(slopes):
        fix = "give a net whose functions have second derivatives; reversible writes have none"
        raise ConfigError("the loss can be differentiated only once", "hessian", fix)
    curved = [index for index, slope in enumerate(slopes) if slope.requires_grad]

    def multiply(vector: Vector) -> Vector:
        if not curved:
            return [torch.zeros_like(w) for w in weights]
        above = [vector[i] for i in curved]
        outputs = [slopes[i] for i in curved]
        options = {"retain_graph": True, "materialize_grads": True}
        return list(torch.autograd.grad(outputs, weights, above, **options))

    return multiply


def twice_differentiable(slopes: Iterable[Tensor]) -> bool:
    """Whether no function without a second derivative is in the graph of a gradient.

    PyTorch marks those with a node that raises an error, but not in every gradient that leads
    through it: some come back as zeros.
    """
    waiting = [slope.grad_fn for slope in slopes]
    known = set()
    while waiting:
        node = waiting.pop()
        if node is not None and node not in known:
            known.add(node)
            if node.name().endswith("Error"):
                return False
            waiting += [following for following, _ in node.next_functions]
    return True


def curvature_figure(ends: Mapping[str, Curvature]) -> Figure:
    """A figure of the largest and the smallest eigenvalue of several nets, by their size.

    A largest one below 0 and a smallest one above 0 have no mark.

    Args:
        ends: by label.
    """
    figure = new_figure(5, 1.1 + 0.35 * len(ends))
    axis = figure.subplots()
    rows = range(len(ends))
    axis.plot(
        [positive(e.largest) for e in ends.values()], rows, "o", color=color(1), label="largest"
    )
    axis.plot(
        [positive(-e.smallest) for e in ends.values()], rows, "v", color=color(2), label="-smallest"
    )
    axis.set_yticks(rows, [plain(label) for label in ends])
    axis.set_ylim(len(ends) - 0.5, -0.5)
    axis.set_xscale("log")
    axis.set_xlabel("eigenvalues of the Hessian")
    axis.grid(alpha=0.3, axis="x")
    axis.legend(frameon=False, fontsize=8)
    return figure


def positive(number: float) -> float:
    """A number above 0, or nan."""
    return number if number > 0 else math.nan
