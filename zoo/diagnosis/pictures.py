"""Pictures of what a net does by depth: a figure of all measures, or each as SVG for a page."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from zoo.diagnosis.profiles import Profile
from zoo.html.document import LIGHT
from zoo.probes.plots import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 2  # of a figure
LEAST = 100.0  # from end to end of a logarithmic axis, so that a flat line looks flat
SIDES = (6.0, 2.9)  # of a picture, in inches
COLORS = LIGHT[1:3]  # of the first and the second line
STYLES: tuple[dict[str, Any], ...] = (
    {"marker": ".", "markersize": 6},
    {"linestyle": "--", "linewidth": 1.3},
)
INK, LINE, MARK = "#010101", "#020202", "#030303"  # in SVG, the variables of a page
VARIABLES = {
    INK: "var(--ink)", LINE: "var(--line)", MARK: "var(--arm6)",
    COLORS[0]: "var(--arm1)", COLORS[1]: "var(--arm2)",
}  # fmt: skip


def figure_of(profiles: Sequence[Profile], marked: Collection[str] = ()) -> Figure:
    """A figure of some measures by depth.

    Args:
        profiles: the measures.
        marked: paths of modules, which get a line.
    """
    rows = -(-len(profiles) // COLUMNS)
    columns = min(COLUMNS, max(1, len(profiles)))
    figure = new_figure(SIDES[0] * columns, SIDES[1] * max(1, rows))
    axes = figure.subplots(max(1, rows), columns, squeeze=False).flat
    for axis in axes[len(profiles) :]:
        axis.set_visible(False)
    for axis, profile in zip(axes, profiles, strict=False):
        draw(axis, profile, marked)
        axis.set_title(profile.title, fontsize=10)
    return figure


def draw(axis: Axes, profile: Profile, marked: Collection[str]) -> None:
    """Draws a measure by depth; on a logarithmic axis zeros are left out."""
    positive = [v for line in profile.lines.values() for v in line if v > 0]
    logarithmic = profile.logarithmic and bool(positive)
    for (label, values), style, color in zip(profile.lines.items(), STYLES, COLORS, strict=False):
        shown = [v if v > 0 or not logarithmic else math.nan for v in values]
        axis.plot(shown, color=color, label=label, **style)
    if logarithmic:
        axis.set_yscale("log")
        low, high = min(positive), max(positive)
        if high < low * LEAST:
            middle = math.sqrt(low * high)
            axis.set_ylim(middle / math.sqrt(LEAST), middle * math.sqrt(LEAST))
    if profile.ends:
        axis.set_ylim(*profile.ends)
    for depth in [i for i, place in enumerate(profile.places) if place in marked]:
        axis.axvline(depth, color=MARK, linestyle=":", linewidth=1.2)
    axis.set_xlim(-0.5, max(1.0, len(profile.places) - 0.5))
    axis.set_xlabel(profile.across)
    axis.locator_params(axis="x", integer=True)
    axis.grid(alpha=0.6, linewidth=0.6)
    if len(profile.lines) > 1:
        axis.legend(frameon=False, fontsize=9)


def svg(profile: Profile, name: str, marked: Collection[str] = ()) -> Markup:
    """A measure by depth as a picture in HTML, in the colours of its page.

    Args:
        profile: the measure.
        name: of the picture, unlike all others of the page.
        marked: paths of modules, which get a line.
    """
    import matplotlib

    looks: dict[str, Any] = dict.fromkeys(
        ("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), INK
    )
    looks |= dict.fromkeys(("axes.edgecolor", "grid.color"), LINE)
    looks |= {"svg.fonttype": "none", "svg.hashsalt": name}
    with matplotlib.rc_context(looks):  # type: ignore[arg-type]
        figure = new_figure(*SIDES)
        draw(figure.subplots(), profile, marked)
        file = io.StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<(metadata|style).*?</\1>", "", text, flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"| height="[^"]*pt"', r"\1", text)
    for color, variable in VARIABLES.items():
        text = text.replace(color, variable)
    return Markup(text)
