"""Loggers, which receive what a run writes to its folder; by default there is none."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.config.config import Config


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


def identity(config: Config) -> dict[str, Any]:
    """The id, group and tags of a run, which keep the runs of a comparison together."""
    choices, depth = config.choices, config.sections["model"]["depth"]
    data = config.sections["data"].get("name") or choices["data"]
    return {
        "id": config.run["id"],
        "group": f"{choices['task']}-{data}-{depth}",
        "tags": [choices["task"], choices["connection"], str(data)],
    }
