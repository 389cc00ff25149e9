"""Charts of what the streams of one pair do by depth, as training begins and as it ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from zoo.compare.analysis.record import Record
from zoo.compare.analysis.streams import ByDepth, StreamOfRun
from zoo.compare.report.chart import Axis, Chart, Series, isolated
from zoo.compare.report.chart_curves import LOGARITHMIC
from zoo.compare.report.formats import scientific

FAINT = 1e-12  # of the largest value; what is less is not drawn on an axis of decades
UNDRAWN = " Zeros, and what is less than 1e-12 of the largest value, are not drawn."
Values = Sequence[float | None]
TIMES = (("before", "start"), ("after", "end"))  # kinds of series and the parts of what was seen


@dataclass(frozen=True)
class Quantity:
    """What a panel shows.

    Args:
        title: above it.
        meaning: what it shows and what is normal.
        of: takes it from one pass.
        first: position of its first value: how many branches have written by then.
        range: of the axis; None: it follows from the values, and is logarithmic where they
            differ by decades.
    """

    title: str
    meaning: str
    of: Callable[[ByDepth], Values]
    first: int = 0
    range: tuple[float, float] | None = None


STREAM = Quantity(
    "size of the stream",
    "How large the values are that run through the net. Ten times more every few writes is an "
    "explosion, ten times less a signal that dies; with a skip they usually grow, and the less the "
    "deeper.",
    lambda seen: seen["stream"],
)
GRADIENT = Quantity(
    "gradient at the stream",
    "How much of the error signal arrives at each depth; it travels from right to left. Within a "
    "factor of a hundred of the right end is usual; much less leaves the first branches as they "
    "were drawn, much more throws them about.",
    lambda seen: seen["gradient"],
)
SHARE = Quantity(
    "share of the branch",
    "Size of what a branch writes over that of the stream it writes to. With a skip, far below 1 a "
    "branch corrects a little, and above 1 it outweighs all that came before. Without one it "
    "writes the stream anew, and this is only how much larger it becomes.",
    lambda seen: seen["share"],
    first=1,
)
COLLAPSE = {
    "dirichlet_energy": (
        "difference of neighbours",
        "Dirichlet energy: how much the nodes of the graph differ from their neighbours, whatever "
        "their size. At 0 all nodes are alike; where neighbours mostly have one label, it is small "
        "in a net that answers well, too.",
        None,
    ),
    "token_similarity": (
        "likeness of tokens",
        "Mean cosine between two tokens of one text. Well below 1 they are told apart; at 1 all "
        "are alike and attention has nothing left to choose from.",
        (-0.25, 1.05),
    ),
    "class_separation": (
        "separation of classes",
        "Share of the distance between images that lies between classes: 0 where these are mixed, "
        "1 where each is one point. The higher after the last write, the easier for the head.",
        (-0.05, 1.05),
    ),
    "rank_share": (
        "share of directions in use",
        "Effective rank of the feature maps over the number of channels: 1 where all directions "
        "are used alike, near 0 where one is left. It falls where features collapse.",
        (-0.05, 1.05),
    ),
}


def quantities(measure: str) -> list[Quantity]:
    """The four panels of a task.

    Args:
        measure: name of its measure of collapse.
    """
    words = measure.replace("_", " ")
    other = (words, f"The task's own measure of collapse, {words}.", None)
    title, meaning, ends = COLLAPSE.get(measure, other)
    collapse = Quantity(title, meaning, lambda seen: seen["collapse"], range=ends)
    return [STREAM, GRADIENT, SHARE, collapse]


def why_charts(record: Record, place: str) -> list[Chart]:
    """The four charts of a place.

    Args:
        record: of the comparison.
        place: its title.
    """
    streams = [stream for stream in record.streams if stream.place == place]
    arms = list(record.declared.arms)
    measure = next((s.seen.measure for s in streams if s.seen.measure), "")
    return [by_depth(quantity, streams, arms) for quantity in quantities(measure)]


def by_depth(quantity: Quantity, streams: Sequence[StreamOfRun], arms: Sequence[str]) -> Chart:
    """One quantity of all arms against the number of writes.

    Args:
        quantity: that is shown.
        streams: of the runs of one pair.
        arms: names of all arms, whose order gives their colours.
    """
    columns: dict[str, Values] = {}
    series: list[Series] = []
    for stream in streams:
        for kind, when in TIMES:
            seen: ByDepth | None = getattr(stream.seen, when)
            if seen:
                name = f"{isolated(stream.arm)}, {when}"
                values = columns[name] = quantity.of(seen)
                x = [quantity.first + i for i in range(len(values))]
                texts = [f"{name}: {scientific(v)}" for v in values]
                series.append(Series(kind, x, values, texts, arms.index(stream.arm), stream.arm))
    known_values = [v for s in series for v in s.y if v is not None]
    positive = [v for v in known_values if v > 0]
    decades = bool(positive) and max(positive) > LOGARITHMIC * min(positive)
    least = FAINT * max(positive, default=0.0)
    faint = decades and any(v < least for v in known_values)
    if faint:
        series = [
            replace(s, y=[None if v is None or v < least else v for v in s.y]) for s in series
        ]
    longest = max(map(len, columns.values()), default=0)
    rows = [
        [quantity.first + i, *(scientific(v[i]) if i < len(v) else "" for v in columns.values())]
        for i in range(longest)
    ]
    known = {name: [v for v in values if v is not None] for name, values in columns.items()}
    ends = [f"{n}: from {scientific(v[0])} to {scientific(v[-1])}" for n, v in known.items() if v]
    return Chart(
        title=quantity.title,
        words=f"{quantity.title} by depth. {'; '.join(ends) or 'no number is known'}.",
        head=("writes so far", *columns),
        rows=rows,
        series=series,
        x=Axis("writes so far"),
        y=Axis(range=quantity.range, logarithmic=decades and quantity.range is None),
        height=240,
        meaning=quantity.meaning + (UNDRAWN if faint else ""),
    )
