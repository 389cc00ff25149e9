"""What the run of a comparison shows at W&B, section by section, and the same in words.

W&B opens a section for what stands before the first slash of a key and sorts sections and panels by
name, so that any workspace that has its panels made for it reads in this order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from zoo.compare.analysis.aggregate import contrasts_of
from zoo.compare.analysis.record import Record
from zoo.compare.report import tables_across, tables_tuning
from zoo.compare.report.markdown import harmless, table_lines
from zoo.compare.report.sentences import caveats, headlines, warnings_first
from zoo.compare.report.tables import Table, arms_at_places, examples_of, p_numbers
from zoo.compare.report.title import title
from zoo.compare.report.verdict_table import verdict_table
from zoo.compare.report.why_words import whys
from zoo.errors import shown

AXES = {"task_name": "task", **{axis: axis for axis in ("place", "depth", "arm", "pair", "seed")}}
# entries of the configuration of a run, which keeps its own: `task` is a section of it
Tables = Callable[[Record], Mapping[str, Table]]


@dataclass(frozen=True)
class Kind:
    """What a section is about.

    Args:
        name: of the section.
        figure: name of the figures in it, without a number.
        words: what it shows.
        tables: of a record, by their names.
    """

    name: str
    figure: str
    words: str
    tables: Tables


@dataclass(frozen=True)
class Section:
    """A section as it is shown.

    Args:
        key: what its panels' keys begin with.
        kind: what it is about.
        pictures: files by the names of their panels.
        tables: by the names of their panels.
    """

    key: str
    kind: Kind
    pictures: Mapping[str, Path]
    tables: Mapping[str, Table]

    @property
    def panels(self) -> list[str]:
        """The keys of its panels, in the order in which W&B shows them."""
        return sorted(f"{self.key}/{name}" for name in (*self.pictures, *self.tables))


def sections(record: Record, figures: Path) -> Iterator[Section]:
    """The sections that have something to show; a number stays that of its kind.

    Args:
        record: of the comparison.
        figures: the folder of its figures.
    """
    for number, kind in enumerate(KINDS, 1):
        files = [figures / f"{kind.figure}.png", *sorted(figures.glob(f"{kind.figure}-[0-9]*.png"))]
        pictures = {f"picture{f.stem.removeprefix(kind.figure)}": f for f in files if f.is_file()}
        tables = {name: table for name, table in kind.tables(record).items() if table.rows}
        if pictures or tables:
            yield Section(f"part{number}_{kind.name}", kind, pictures, tables)


def media(shown_sections: Sequence[Section]) -> Iterator[tuple[str, Any]]:
    """What W&B is sent: pictures and tables by their keys; names of others are plain text."""
    import wandb

    for section in shown_sections:
        for name, file in section.pictures.items():
            yield f"{section.key}/{name}", wandb.Image(str(file))
        for name, table in section.tables.items():
            rows = [[plain(value) for value in row] for row in table.rows]
            yield f"{section.key}/{name}", wandb.Table(columns=[*table.columns], data=rows)


def plain(value: Any) -> Any:
    """A number or nothing as it is, and anything else as one line of text."""
    return value if value is None or isinstance(value, (int, float)) else shown(str(value))


def layout(record: Record, shown_sections: Sequence[Section], group: str) -> str:
    """How to read the comparison at W&B, in Markdown.

    Args:
        record: of the comparison.
        shown_sections: that it has.
        group: of all its runs.
    """
    lines = [f"# {title(record)}", "", *(f"* {it}" for it in warnings_first(record)), ""]
    table = verdict_table(record)
    lines += [*(table_lines(table) if table.rows else []), "", *headlines(record), ""]
    lines += [f"* {caveat}" for caveat in caveats(record)]
    lines += ["", f"The run `comparison` of the group `{group}` shows, from the top:", ""]
    rows = [
        [section.key, section.kind.words, ", ".join(section.panels)] for section in shown_sections
    ]
    lines += table_lines(Table("", "section|shows|panels", rows))
    axes = ", ".join(f"`{axis}`" for axis in AXES)
    lines += [
        "",
        f"Every other run of the group is one that was trained. Its configuration has {axes} as "
        "entries of their own, by which to filter and to group; its job type is `cell`, "
        "`configured values` or `tuning`.",
        "",
        "Artifacts: `cell-ID` of each of them is used by the run `comparison`, whose own artifact "
        "is used by the run `report`, which holds the report as files.",
    ]
    return "\n".join(map(harmless, lines)) + "\n"


def verdicts(record: Record) -> Mapping[str, Table]:
    """What may be said of every arm."""
    return {"table": verdict_table(record)}


def gaps(record: Record) -> Mapping[str, Table]:
    """Every gap in numbers."""
    rows = [
        [place.title, c.arm, c.baseline, c.verdict, *(astuple(c.gap) if c.gap else [None] * 3),
         c.pairs, c.delta, examples_of(place), *p_numbers(c)]
        for place, c in contrasts_of(record.places)
    ]  # fmt: skip
    head = ("place|arm|baseline|verdict|gap|low|high|pairs|smallest effect|test examples|p|"
            "p (Holm)|p (ahead, Holm)|least p")  # fmt: skip
    return {"table": Table("", head, rows)}


def why(record: Record) -> Mapping[str, Table]:
    """What the streams of one pair do: in sentences, and with a row for every depth."""
    said = [[place, sentence] for place, sentences in whys(record) for sentence in sentences]
    head = ("place|arm|when|writes so far|stream|gradient|share of the branch|collapse|"
            "measure of collapse")  # fmt: skip
    streams = Table("", head, [*rows_of_streams(record)])
    return {"sentences": Table("", "place|why", said if streams.rows else []), "table": streams}


def rows_of_streams(record: Record) -> Iterator[list[Any]]:
    """What the streams of one pair do, with a row for every depth."""
    for stream in record.streams:
        for when, seen in (("start", stream.seen.start), ("end", stream.seen.end)):
            if not seen:
                continue
            for depth in range(len(seen["stream"])):
                lists = (seen["stream"], seen["gradient"], [None, *seen["share"]], seen["collapse"])
                here = [values[depth] if depth < len(values) else None for values in lists]
                yield [stream.place, stream.arm, when, depth, *here, stream.seen.measure]


def scores(record: Record) -> Mapping[str, Table]:
    """The mean score of every arm."""
    rows = [
        [place.title, arm.arm, arm.mean, arm.sd, arm.done, arm.diverged]
        for place, arm in arms_at_places(record)
    ]
    return {"table": Table("", "place|arm|mean|sd|done|diverged", rows)}


KINDS = (
    Kind("verdicts", "verdicts", "what may be said of every arm, shallow and deep", verdicts),
    Kind("gaps", "gaps", "the difference of every pair, their median and its interval", gaps),
    Kind("why", "why", "what the nets of one pair do by depth, first and last", why),
    Kind(
        "tasks",
        "tasks",
        "gaps over tasks, 1 being the way from chance to the reference",
        lambda record: {"table": tables_across.averages(record)} if record.overall else {},
    ),
    Kind("scores", "score", "test and training score against depth", scores),
    Kind("curves", "curves", "every run while it trains", lambda record: {}),
    Kind(
        "tuning",
        "tuning",
        "the score on validation against every value that was tried",
        lambda record: {"table": tables_tuning.chosen(record)} if record.tuning else {},
    ),
)
