"""What the figures for papers share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from zoo.compare.report.style import DASHES, LIGHT, MARKERS, look
from zoo.probes.plots import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

T = TypeVar("T")


def chunks(entries: Sequence[T], most: int) -> Iterator[list[T]]:
    """Parts in order, each of at most so many entries.

    >>> list(chunks([1, 2, 3], 2))
    [[1, 2], [3]]
    """
    yield from (list(entries[i : i + most]) for i in range(0, len(entries), most))


def styled(axis: Axes, title: str, x: str, y: str) -> None:
    """Texts and a grid; texts from users show as they are."""
    axis.set_title(plain(title), fontsize=10)
    axis.set_xlabel(plain(x))
    axis.set_ylabel(plain(y))
    axis.grid(alpha=0.3)


def drawn(arm: int) -> dict[str, Any]:
    """The colour and the marker of an arm."""
    style = look(arm)
    return {"color": LIGHT[style.index], "marker": MARKERS[style.symbol]}


def legend(
    figure: Figure, arms: Sequence[str], chance: bool = False, published: bool = False
) -> None:
    """One legend for all panels, below them."""
    from matplotlib.lines import Line2D

    handles = []
    for i in range(len(arms)):
        handles.append(Line2D([], [], **drawn(i), markersize=5))
        handles[-1].set(linestyle=DASHES[look(i).dash])
    names = [f" {plain(arm, 24)}" for arm in arms]  # a name with a leading _ would be left out
    if chance:
        handles.append(Line2D([], [], color="0.4", linewidth=0.8, linestyle=":"))
        names.append("chance")
    if published:
        handles.append(Line2D([], [], color="0.45", linewidth=0.8, linestyle="--"))
        names.append("published")
    columns = min(5, len(names))
    figure.legend(handles, names, loc="outside lower center", ncols=columns, frameon=False)
