"""The boosting view: whether every block corrects the answer that the blocks before it gave."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from zoo.probes.echoes.linear_probe import linear_probe
from zoo.probes.plots import color, new_figure, plain
from zoo.probes.watch.cut_net import accuracy, cross_entropy, only_stack
from zoo.probes.watch.followed import BlockPath, StackPath
from zoo.probes.watch.untouched import untouched

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Batch = Any
Profile = tuple[float, ...]


@dataclass(frozen=True)
class Boosting:
    """The boosting view of a net of L blocks.

    Args:
        cosine: L values, the mean over examples of cos(F, -g); NaN where a block changes the shape
            of the stream.
        lens: L + 1 values, the score of the net's own head after so many blocks; NaN where the
            stream does not have its last shape yet.
        probe: L + 1 values, the accuracy of a linear probe that is fitted at that depth.
    """

    cosine: Profile
    lens: Profile
    probe: Profile


def boosting(
    net: nn.Module,
    batch: Batch,
    fit_on: Batch,
    blocks: Sequence[nn.Module] | None = None,
    loss: Callable[[nn.Module, Batch], Tensor] = cross_entropy,
    score: Callable[[nn.Module, Batch], float] = accuracy,
) -> Boosting:
    r"""The direction of every block against the gradient, and what can be read after each of them.

    Equation: cos(F_l(h_l), -dL/dh_l), h_l the stream before block l. Where it is positive, more of
        the block lowers the loss to first order, as a weak learner does that is boosted. Of a
        state with several tensors h_l is what `Connection.post` changes: the newest entry of a
        history, all streams together.
    Source: Jastrzebski et al. 2017, arXiv:1710.04773 (cosine, and the head at every depth); Huang
        et al. 2017, arXiv:1706.04964 (boosting); Alain and Bengio 2016, arXiv:1610.01644 (probes).

    The head reads the stream after l blocks as if the others were not there: the logit lens. The
    probe reads the mean over positions where labels are of whole examples. Modes stay as they are.

    Args:
        net: its one `Stack` is followed, unless `blocks` are given. F is the output of a branch.
        batch: inputs and labels; measured on it are the gradient and both scores.
        fit_on: another batch, to fit the probes on.
        blocks: modules of a foreign net, in order, each of which maps the stream (its first
            argument) to the next one. F is output less input.
        loss: of a net on a batch, a scalar.
        score: of a net on a batch.

    Errors:
        ValueError: no stack or several, and no blocks.

    >>> from zoo.connection import Site
    >>> from zoo.connections.additive import Residual
    >>> from zoo.stack import Stack
    >>> stack = Stack([nn.Linear(4, 4), nn.Linear(4, 4)], [Residual(s) for s in Site.line(4, 2)])
    >>> x, labels = torch.randn(30, 4), torch.arange(30) % 3
    >>> result = boosting(nn.Sequential(stack, nn.Linear(4, 3)), (x, labels), (x, labels))
    >>> len(result.cosine), len(result.lens), len(result.probe)
    (2, 3, 3)
    """
    with untouched(net):
        path = BlockPath(blocks) if blocks is not None else StackPath(only_stack(net))
        with torch.enable_grad(), path.followed():
            value = loss(net, batch)
            gradients = torch.autograd.grad(value, path.moves, allow_unused=True)
        pairs = zip(path.updates, gradients, strict=True)
        cosine = tuple(descent(update, gradient) for update, gradient in pairs)
        with torch.no_grad():
            values, lens = path.values, []
            for depth, reached in enumerate(values):
                with path.ended(depth):
                    whole = reached.shape == values[-1].shape
                    lens.append(score(net, batch) if whole else math.nan)
            with path.followed():
                loss(net, fit_on)
            labels = fit_on[1], batch[1]
            probe = tuple(
                linear_probe(*pooled(before, labels[0]), *pooled(here, labels[1]))
                for before, here in zip(path.values, values, strict=True)
            )
    return Boosting(cosine, tuple(lens), probe)


def descent(update: Tensor | None, gradient: Tensor | None) -> float:
    """The mean over examples of the cosine between an update and the negative gradient.

    Args:
        update: `[B, ...]`; None: of another shape than the stream before it.
        gradient: of the same shape, or `[n B, ...]` of n streams; None: there is none.
    """
    if update is None:
        return math.nan
    if gradient is None:
        return 0.0
    gradient = gradient.reshape(-1, *update.shape).sum(0).double().flatten(1)
    update = update.double().flatten(1)
    size = update.norm(dim=1) * gradient.norm(dim=1)
    cosine = -(update * gradient).sum(1) / size.clamp(min=torch.finfo(size.dtype).tiny)
    return cosine.mean().item()


def pooled(value: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Features `[N, C]` and their labels `[N]`; positions are averaged where labels have none."""
    if value.ndim == 4:
        value = value.mean((2, 3))
    elif value.ndim == 3 and labels.ndim == 1:
        value = value.mean(1)
    return value.flatten(0, -2), labels.flatten()


def boosting_figure(result: Boosting | Mapping[str, Boosting]) -> Figure:
    """A figure of cosines by block, and of what is read by depth with the head and with a probe.

    Args:
        result: of one net, or of several under their labels.
    """
    results = {"": result} if isinstance(result, Boosting) else result
    figure = new_figure(9.4, 3.4)
    left, right = figure.subplots(1, 2)
    left.axhline(0, color="0.6", linewidth=0.8)
    for number, (label, one) in enumerate(results.items()):
        shade, name = color(number), f"{plain(label)}: " if label else ""
        left.plot(range(len(one.cosine)), one.cosine, "o-", markersize=3, color=shade,
                  label=plain(label))  # fmt: skip
        depth = range(len(one.lens))
        right.plot(depth, one.lens, "o-", markersize=3, color=shade, label=f"{name}head")
        right.plot(depth, one.probe, "s--", markersize=3, color=shade, label=f"{name}linear probe")
    left.set_title("above 0: the block lowers the loss", fontsize=9)
    left.set_xlabel("block")
    left.set_ylabel("cos(F, -gradient)")
    if "" not in results:
        left.legend(frameon=False, fontsize=8)
    right.set_title("what can be read from the stream", fontsize=9)
    right.set_xlabel("blocks so far")
    right.set_ylabel("score")
    right.set_ylim(0, 1.03)
    right.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    for axis in (left, right):
        axis.locator_params(axis="x", integer=True)
        axis.grid(alpha=0.3)
    return figure
