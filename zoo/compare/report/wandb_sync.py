"""Copies every run of a comparison to W&B, in one group, and the comparison as two more runs."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from zoo.compare.analysis.record import Record
from zoo.compare.analysis.runs import Run
from zoo.compare.report.title import title
from zoo.compare.report.wandb_layout import AXES, Section, layout, media, sections
from zoo.compare.report.wandb_lineage import OF_COMPARISON, OF_REPORT, artifact, cell_artifact, use
from zoo.compare.report.wandb_report import publish
from zoo.compare.report.wandb_sent import Sent
from zoo.config import registry
from zoo.config.yaml_file import read_yaml
from zoo.errors import ResourceError, quoted
from zoo.run_folder import RunFolder
from zoo.system.atomic import atomic_write
from zoo.system.console import say
from zoo.system.one_writer import exclusive

log = logging.getLogger("zoo")
LAYOUT = "layout.md"  # how to read the comparison at W&B
WITHOUT_METRICS: Mapping[str, Any] = {"status": "done", "metrics": {}}
JOBS = {"comparison": "cell"}  # job types of phases that have another name there
AT_ONCE = 8  # runs that are sent at a time: most of the time is waiting for the server
EVERY = 15.0  # seconds between two lines on what was sent


class Off(Exception):
    """W&B takes no more runs; its logger has said why, and the same command sends the others."""


def sync(record: Record, path: Path) -> None:
    """Sends the runs that were not sent before; where W&B fails, only its copy is missing.

    Args:
        record: of the comparison.
        path: of its folder; offline runs lie in its subfolder `wandb`.
    """
    mirror = Mirror(record, path)
    try:
        (path / "wandb").mkdir(exist_ok=True)
        with exclusive(path / "wandb"):  # of processes that share a comparison one at a time
            mirror.send_cells()
            mirror.send_comparison()
            mirror.send_report()
    except Off:
        return
    except KeyboardInterrupt:
        log.info("interrupted; the same command sends the others to W&B")
        raise
    except (OSError, ValueError, ResourceError) as error:  # of a full disk, or a file of another
        log.warning("W&B lacks a part of this comparison: %s", error)
        return
    if mirror.offline:
        say(f"W&B was offline; upload all by: wandb sync {quoted([str(path / 'wandb')])}")


@dataclass
class Mirror:
    """The runs of one comparison at W&B.

    Args:
        record: of the comparison.
        path: of its folder.
        offline: whether a run that was sent is kept offline, as all that follow it are.
        beside: whether several runs are open at a time.
    """

    record: Record
    path: Path
    offline: bool = False
    beside: bool = False

    @cached_property
    def sent(self) -> Sent:
        """What was sent before, and the key of all runs."""
        return Sent(self.path)

    @cached_property
    def group(self) -> str:
        """The name that all runs share."""
        return f"compare-{self.record.name}-{self.sent.key}"

    @cached_property
    def sections(self) -> list[Section]:
        """What the run of the comparison shows."""
        return [*sections(self.record, self.path / "figures")]

    @cached_property
    def layout(self) -> str:
        """How to read it, in Markdown."""
        return layout(self.record, self.sections, self.group)

    @property
    def cells(self) -> Iterator[tuple[str, Run]]:
        """The runs that have a result, after what they are for."""
        for phase, runs in self.record.phases.items():
            yield from ((phase, run) for run in runs if run.ended)

    @contextmanager
    def opened(
        self,
        job: str,
        name: str,
        key: str,
        about: Mapping[str, Any],
        result: Mapping[str, Any] = WITHOUT_METRICS,
    ) -> Iterator[Any]:
        """Within, a run of the group is open; it ends without a message, as one uploads them all.

        Args:
            job: what the run is for, by which W&B groups as well.
            name: of the run.
            key: of the run, its address.
            about: entries of its configuration.
            result: with which it ends.

        Errors:
            Off: it could not be opened, or failed within.
        """
        options = {"name": name[:120], **({"mode": "offline"} if self.offline else {})}
        logger = registry.factory("logger", "wandb", options)()
        identity = {"id": f"{self.sent.key}-{key}", "group": self.group, "tags": ["compare"]}
        notes = self.layout if job in ("comparison", "report") else None
        more = {"job_type": job, "notes": notes, "together": True, "beside": self.beside}
        logger.start(self.path, about, identity | more)
        if logger.run is None:
            raise Off
        self.offline = self.offline or logger.run.settings._offline
        yield logger
        logger.finish({"curves": {}, **result}, {})
        if logger.failed:
            raise Off

    def send_cells(self) -> None:
        """Sends the runs that were not sent before; the first one tells whether W&B is there."""
        cells = {cell[1].id: cell for cell in self.cells}
        waiting = [cell for address, cell in cells.items() if address not in self.sent.runs]
        for each in waiting[:1]:
            self.send_cell(*each)
        shown, self.beside = time.monotonic(), True
        with ThreadPoolExecutor(AT_ONCE) as pool:
            sending = [pool.submit(self.send_cell, *each) for each in waiting[1:]]
            try:
                for count, ended in enumerate(as_completed(sending), 2):
                    ended.result()
                    if time.monotonic() - shown > EVERY:
                        shown = time.monotonic()
                        log.info("W&B: %d of %d runs are sent", count, len(waiting))
            finally:
                pool.shutdown(cancel_futures=True)
        self.beside = False

    def send_cell(self, phase: str, run: Run) -> None:
        """Sends a run with an artifact of what it left, and notes that it is sent."""
        folder = RunFolder(self.path / "cells" / run.id)
        config = folder.path / "config.yaml"
        about = {**(read_yaml(config) if config.is_file() else {}), **axes_of(run)}
        result = folder.result()
        if not result:
            raise ValueError(f"{folder.path / 'result.json'} cannot be read")
        if phase == "tuning":  # which is about validation alone
            result["metrics"] = {k: v for k, v in result["metrics"].items() if k[:5] != "test/"}
        name = f"{run.place}, {run.arm}, {run.pair}"
        with self.opened(JOBS.get(phase, phase), name, run.id, about, result) as logger:
            logger.guarded(partial(logger.catch_up, folder))
            if logger.run is not None:
                made = partial(cell_artifact, folder.path, phase, axes_of(run))
                logger.guarded(lambda: logger.run.log_artifact(made()))
        self.sent.note(run.id)

    def send_comparison(self) -> None:
        """Sends the run that shows verdicts, gaps and reasons; it has used those of all cells."""
        about = asdict(self.record.declared)
        atomic_write(self.path / "wandb" / LAYOUT, self.layout)

        def show() -> None:
            logger.run.log(dict(media(self.sections)))
            for phase, run in self.cells:
                folder = self.path / "cells" / run.id
                use(logger.run, cell_artifact(folder, phase, axes_of(run)))
            logger.run.log_artifact(self.comparison)

        with self.opened("comparison", "comparison", "comparison", about) as logger:
            logger.guarded(show)
            online = None if self.offline else logger.run
        if online is not None:
            file = self.path / "wandb" / "report.txt"
            publish(online, title(self.record), self.layout, self.sections, file)

    def send_report(self) -> None:
        """Sends the run that holds the report; it has used the comparison."""

        def show() -> None:
            use(logger.run, self.comparison)
            logger.run.log_artifact(self.artifact("report", OF_REPORT))

        with self.opened("report", "report", "report", {}) as logger:
            logger.guarded(show)

    @property
    def comparison(self) -> Any:
        """The artifact of the comparison."""
        return self.artifact("comparison", OF_COMPARISON)

    def artifact(self, kind: str, names: Sequence[str]) -> Any:
        """An artifact of some files of the comparison's folder."""
        about = {"group": self.group, "command": self.record.command}
        return artifact(f"{self.group}-{kind}", kind, self.path, names, about)


def axes_of(run: Run) -> dict[str, Any]:
    """What tells a run from the others."""
    return {entry: getattr(run, axis) for entry, axis in AXES.items()}
