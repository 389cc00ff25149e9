"""A comparison as a report at W&B, where that is online and `wandb-workspaces` is installed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from zoo.compare.report.wandb_layout import Section
from zoo.system.atomic import atomic_write

log = logging.getLogger("zoo")
SECONDS = 60  # after which the comparison goes on without a report
LONGEST = 128  # characters of a title
WIDE = 24  # units, as wide as the page
ADVICE = "pip install 'residual-zoo[wandb]' adds a report at W&B, which reads in order"


def publish(run: Any, title: str, words: str, shown: Sequence[Section], file: Path) -> None:
    """Saves a report on a comparison, or the one that was saved before anew.

    It takes a bounded time, and what fails is one warning.

    Args:
        run: of W&B, which shows the comparison.
        title: of the report.
        words: with which it begins, in Markdown.
        shown: its sections.
        file: keeps the id of the report.
    """
    if find_spec("wandb_workspaces") is None:
        log.info("%s", ADVICE)
        return
    lost = [f"it took longer than {SECONDS} s"]

    def save() -> None:
        from wandb_workspaces.reports import v2

        try:
            report = v2.Report(run.project, run.entity, title[:LONGEST])
            report.blocks = [*blocks(run, words, shown)]
            if file.is_file():
                report.id = file.read_text().strip()
            report.save()
            atomic_write(file, report.id)
            log.info("W&B has a report: %s", report.url)
            lost.clear()
        except Exception as error:
            lost[:] = [f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"]

    thread = threading.Thread(target=save, daemon=True)
    thread.start()
    thread.join(SECONDS)
    for reason in lost:
        log.warning("W&B has no report: %s", reason)


def blocks(run: Any, words: str, shown: Sequence[Section]) -> Iterator[Any]:
    """The blocks of a report: words, the panels of each section, and curves of all cells.

    Args:
        run: of W&B, which shows the comparison.
        words: with which it begins, in Markdown.
        shown: its sections.
    """
    from wandb_workspaces import expr
    from wandb_workspaces.reports import v2

    def runs_for(job: str, *grouped: str) -> Any:
        which = [expr.Metric("Group") == run.group, expr.Metric("JobType") == job]
        axes = [f"config.{axis}" for axis in grouped]
        return v2.Runset(run.entity, run.project, job, filters=which, groupby=axes)

    yield v2.MarkdownBlock(words)
    for section in shown:
        yield v2.MarkdownBlock(f"## {section.kind.name.capitalize()}\n\n{section.kind.words}")
        panels: list[Any] = []
        for key in section.panels:
            place = v2.Layout(y=sum(panel.layout.h for panel in panels), w=WIDE, h=WIDE // 2)
            if key.partition("/")[2] in section.pictures:
                panel = v2.MediaBrowser(media_keys=[key], num_columns=1, layout=place)
            else:
                panel = v2.WeavePanelSummaryTable(table_name=key, layout=place)
            panels.append(panel)
        yield v2.PanelGrid(runsets=[runs_for("comparison")], panels=panels)
    yield v2.MarkdownBlock("## Every run\n\nby place and arm")
    curves = v2.LinePlot(x="Step", y=["train/loss"], layout=v2.Layout(w=WIDE, h=WIDE // 2))
    yield v2.PanelGrid(runsets=[runs_for("cell", "place", "arm")], panels=[curves])
