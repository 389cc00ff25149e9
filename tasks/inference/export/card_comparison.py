"""What a comparison shows of one of its runs, for a model card."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tasks.data.folders import folder_at
from tasks.data.phrases import shown
from tasks.inference.export.card_words import plain
from zoo.compare.analysis.aggregate import contrasts_of
from zoo.compare.analysis.record import Record
from zoo.compare.analysis.runs import Run
from zoo.compare.analysis.summaries import Contrast, PlaceSummary
from zoo.compare.report.formats import measure_label, rounded
from zoo.compare.report.merge import computed
from zoo.compare.report.sentences import caveats, warnings_first
from zoo.compare.report.sources import read_source
from zoo.errors import ConfigError
from zoo.hub_folder import LOCAL, is_local


def compared(run: Path, folder: str | None) -> list[str]:
    """Lines of Markdown on the comparison that has a run, computed from its record.

    Showing them is a look at the results, which the plan of the comparison notes.

    Args:
        run: folder of the run.
        folder: of the comparison; None: the one in which the run lies; no lines if it is in none.

    Errors:
        ConfigError: it is no comparison, or does not have the run.
    """
    home = run.resolve().parent.parent
    inside = run.resolve().parent.name == "cells" and (home / "compare.json").is_file()
    if folder is None and not inside:
        return []
    path = home if folder is None else folder_at(folder)
    source = read_source(path)
    cells = [cell for cell in source.record.cells if cell.id == run.resolve().name]
    if not cells:
        what = f"the comparison has no run {shown(run.resolve().name)}"
        raise ConfigError(what, f"comparison={shown(path)}", "name one that has it")
    record = computed([source])
    return [*about(record, cells[0]), *(f"* {foreign(words)}" for words in notes(record))]


def about(record: Record, cell: Run) -> Iterator[str]:
    """Which run of the comparison it is, and the gaps at its place that are about its arm."""
    yield (
        f"This run is of the arm {foreign(cell.arm)}, pair {cell.pair}, at {foreign(cell.place)}, "
        f"in a comparison of {len(record.cells)} runs."
    )
    yield ""
    for place, contrast in contrasts_of(record.places):
        if place.title == cell.place and cell.arm in (contrast.arm, contrast.baseline):
            yield f"* {gap(place, contrast)}"


def gap(place: PlaceSummary, contrast: Contrast) -> str:
    """The gap of an arm to its baseline with its interval, and what may be said of it."""
    size = rounded(contrast.gap, contrast.delta) or "unknown"
    pairs = f"{contrast.pairs} pair{'' if contrast.pairs == 1 else 's'}"
    failed = f" Failed to train: {foreign(contrast.failures)}." if contrast.failures else ""
    return (
        f"{foreign(contrast.arm)} against {foreign(contrast.baseline)}, "
        f"{plain(measure_label(place.metric))}: median gap over {pairs} {size}, where the smallest "
        f"that matters is {contrast.delta:g}. Verdict: {foreign(contrast.verdict)}.{failed}"
    )


def foreign(text: str) -> str:
    """A text of the record, which can name paths of this machine, on one line of Markdown."""
    return plain(" ".join(LOCAL if is_local(word) else word for word in text.split()))


def notes(record: Record) -> Iterator[str]:
    """What a reader must know beside the verdicts."""
    yield from warnings_first(record)
    yield from caveats(record)
