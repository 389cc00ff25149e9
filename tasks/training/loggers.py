"""Loggers, which receive what a run writes to its folder; by default there is none."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from zoo.config import registry
from zoo.config.config import Config
from zoo.errors import quoted
from zoo.run_folder import RunFolder

log = logging.getLogger("zoo")
LONGEST = 200  # characters of a reason


class NoLogger:
    """Writes nothing beside the run folder."""

    def start(self, folder: Path, config: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
        """Begins a run."""

    def row(self, row: Mapping[str, Any]) -> None:
        """Receives a row of the log."""

    def figure(self, name: str, path: Path, step: int) -> None:
        """Receives a figure that was drawn on the way."""

    def alert(self, title: str, text: str) -> None:
        """Receives what someone should look at while the run goes on."""

    def finish(self, result: Mapping[str, Any], figures: Mapping[str, Path]) -> None:
        """Ends the run with its result and its figures."""


class CopyingLogger(NoLogger):
    """Copies the run folder, which is the record, to another place.

    Where that fails the run goes on: the first failure is one warning and the last word. A session
    that continues a run begins with the rows and figures of the sessions before it.

    Attributes:
        title: of the place, in messages.
        run: the copy that is open there; None before it begins and where it is off.
        failed: whether the copy lacks something.
    """

    title: ClassVar[str]
    run: Any = None
    failed: bool = False

    def guarded(self, action: Callable[[], Any]) -> Any:
        """Runs an action; a failure switches the copy off with one warning."""
        try:
            return action()
        except Exception as error:
            reason = f"{type(error).__name__}: {' '.join(str(error).split())[:LONGEST]}"
            if not self.failed:
                log.warning("%s is off for this run: %s", self.title, reason)
            self.run, self.failed = None, True
            return None

    def catch_up(self, folder: RunFolder, since: int = 0) -> None:
        """Receives what the sessions before left behind, from a step on: rows and figures."""
        steps: dict[int, list[dict[str, Any]]] = {}
        for row in folder.rows():
            steps.setdefault(row["step"], []).append(row)
        figures: dict[int | None, list[Path]] = {}
        for path in sorted(folder.figures.glob("*.png")):
            figures.setdefault(numbered(path.stem)[1], []).append(path)
        for step in sorted(step for step in steps if step >= since):
            for row in steps[step]:
                self.row(row)
            for path in filter(is_whole, figures.get(step, ())):
                self.figure(path.stem, path, step)


def copy_of_ended(config: Config, folder: RunFolder, result: Mapping[str, Any]) -> None:
    """Gives the logger of a configuration a run that has ended, from its folder."""
    drawn = [path for path in sorted(folder.figures.glob("*.png")) if is_whole(path)]
    figures = {path.stem: path for path in drawn if numbered(path.stem)[1] is None}
    logger: NoLogger = config.factory("logger")()
    logger.start(folder.path, config.plain(), identity(config))
    logger.finish(result, figures)


def left_behind(config: Config, folder: RunFolder) -> Iterator[str]:
    """Sentences on copies that earlier sessions of a run made and this one does not go on with."""
    name = config.choices["logger"]
    for other in registry.names("logger"):
        if other != name and (folder.path / other).is_dir():
            again = quoted(["fit", f"from={folder.path}", f"logger={other}"])
            yield f"{other}/ ends here, as logger={name} leaves it; to make it whole: {again}"


def is_whole(picture: Path) -> bool:
    """Whether a picture can be read: a process that was killed may have written half of it."""
    from PIL import Image

    with contextlib.suppress(OSError), Image.open(picture) as image:
        image.load()
        return True
    return False


def numbered(name: str) -> tuple[str, int | None]:
    """The name and the step of a figure.

    >>> numbered("samples_000100"), numbered("curves")
    (('samples', 100), ('curves', None))
    """
    match = re.fullmatch(r"(.+)_(\d+)", name)
    return (match[1], int(match[2])) if match else (name, None)


def identity(config: Config) -> dict[str, Any]:
    """The id, group and tags of a run, which keep the runs of a comparison together."""
    choices, depth = config.choices, config.sections["model"]["depth"]
    data = config.sections["data"].get("name") or choices["data"]
    return {
        "id": config.run["id"],
        "group": f"{choices['task']}-{data}-{depth}",
        "tags": [choices["task"], choices["connection"], str(data)],
    }
