"""Figures of what a net does by depth: its stream and gradients, lesions, and paths."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch

from zoo.probes.plots import color, legend_below, new_figure, plain, scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from torch import Tensor

    from zoo.probes.stream.lesion import Lesions
    from zoo.probes.stream.paths import Paths
    from zoo.probes.stream.profile import StreamProfile

SMALLEST = 1e-30  # that a logarithmic axis shows


def stream_figure(profiles: Mapping[str, StreamProfile]) -> Figure:
    """A figure of stream, branches and gradients by depth, a line for each label.

    Args:
        profiles: of nets, or of one net at several times.
    """
    figure = new_figure(9, 6.4)
    size, share, cosine, gradient = figure.subplots(2, 2).flat
    for number, (label, profile) in enumerate(profiles.items()):
        shade = color(number)
        draw(size, profile.stream, label, shade)
        draw(share, profile.ratio, label, shade)
        cosine.plot(profile.cosine, color=shade, marker=".", label=plain(label))
        draw(gradient, profile.gradient, label, shade)
        draw(gradient, profile.branch_gradient, "", shade, dashed=True)
    for axis in (size, share, gradient):
        scale(axis)
    cosine.set_ylim(-1.05, 1.05)
    cosine.axhline(0, color="0.7", linewidth=0.8)
    titles = {
        size: "size of the stream",
        share: "size of what is written over that of the stream",
        cosine: "cosine of stream and branch",
        gradient: "gradient at the stream (dashed: through the branch)",
    }
    for axis, title in titles.items():
        finished(axis, title, "write")
    legend_below(figure, size)
    return figure


def lesion_figure(lesions: Mapping[str, Lesions], title: str = "loss without one branch") -> Figure:
    """A figure of the loss after each lesion; dashed: without any.

    Args:
        lesions: of nets, for each label.
        title: what was measured.
    """
    figure = new_figure(5.6, 3.4)
    axis = figure.subplots()
    for number, (label, found) in enumerate(lesions.items()):
        axis.plot(found.losses, marker="o", markersize=3, color=color(number), label=plain(label))
        axis.axhline(float(found.intact), linestyle="--", linewidth=0.9, color=color(number))
    axis.set_ylim(bottom=min(0, axis.get_ylim()[0]))
    finished(axis, title, "removed branch")
    axis.legend(frameon=False)
    return figure


def paths_figure(paths: Mapping[str, Paths]) -> Figure:
    """A figure of the paths' number, their gradient, and its sum, by length.

    Paths without a gradient, of a net without skips all but the longest, have no point.

    Args:
        paths: of nets, for each label.
    """
    figure = new_figure(10, 3.4)
    count, one, share = figure.subplots(1, 3)
    for number, (label, found) in enumerate(paths.items()):
        shade = color(number)
        count.plot(found.count / found.count.sum(), color=shade)
        one.plot(found.gradient.where(found.gradient > 0, torch.nan), ".-", color=shade)
        share.plot(found.share, marker=".", color=shade, label=plain(label))
        share.axvline(found.effective_length, linestyle=":", color=shade, linewidth=0.9)
    scale(one)
    finished(count, "share of all paths", "length: branches passed")
    finished(one, "gradient through one path", "length")
    finished(share, "share of the gradient (dotted: mean)", "length")
    legend_below(figure, share)
    return figure


def draw(axis: Axes, values: Tensor, label: str, shade: str, dashed: bool = False) -> None:
    """Draws values by depth that a logarithmic axis can show; zeros lie at its lower end."""
    y = np.maximum(values.numpy(), SMALLEST)
    style = {"linestyle": "--", "linewidth": 0.9} if dashed else {"marker": "."}
    axis.plot(y, color=shade, label=plain(label) or None, **style)


def finished(axis: Axes, title: str, across: str) -> None:
    """Gives an axis its title, its name and a grid."""
    axis.set_title(title, fontsize=10)
    axis.set_xlabel(across)
    axis.locator_params(axis="x", integer=True)
    axis.grid(alpha=0.3)
