"""The run folder: the record of a run. Files appear whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zoo.errors import ConfigError
from zoo.places import expanded

SCHEMA = 1
ENDED = ("done", "diverged")  # statuses of a run that is a result
AT_BEST = "_at_best_val"  # ends the names of metrics at the step of lowest val/loss


def write_whole(path: Path, content: str | bytes) -> None:
    """Writes a file beside its place and moves it there, so that a reader never sees a part."""
    partial = path.with_name(f".{path.name[:40]}.tmp{os.getpid()}")  # names have an end
    data = content.encode() if isinstance(content, str) else content
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def runs_in(place: str) -> str:
    """What to name where a run folder is wanted: the newest one in a place, if it has some."""
    found = [p.parent for p in Path(place).glob("*/config.yaml")] if place.strip() else []
    newest = max(found, key=lambda path: path.stat().st_mtime, default=None)
    return f"name a run folder, such as {newest}" if newest else "name a run folder"


class RunFolder:
    """`config.yaml`, `metrics.jsonl`, `result.json`, `checkpoints/`, `figures/`, `log.txt`.

    Args:
        path: the folder; `create` makes a fresh one.
    """

    def __init__(self, path: Path):
        self.path = path
        self.checkpoints = path / "checkpoints"
        self.figures = path / "figures"
        self.log = path / "log.txt"
        self.metrics = path / "metrics.jsonl"

    @classmethod
    def planned(cls, name: str, where: str | None) -> RunFolder:
        """The folder `where` or `runs/NAME`, not made yet; ConfigError where it is not empty."""
        path = Path(expanded(where or f"runs/{name}", f"run.dir={where}"))
        try:
            taken = path.exists() and (not path.is_dir() or any(path.iterdir()))
        except OSError as error:
            raise ConfigError(str(error.strerror), f"run.dir={path}", "name another") from None
        if taken:
            is_run = (path / "config.yaml").is_file()
            fix = "name another folder" + is_run * f", or continue it: fit from={path}"
            raise ConfigError("the folder is not empty", f"run.dir={path}", fix)
        return cls(path)

    def create(self) -> None:
        """Makes the folder."""
        try:
            self.checkpoints.mkdir(parents=True)
            self.figures.mkdir()
        except OSError as error:
            reason = error.strerror or "cannot be made"
            fix = "name one that can be written: run.dir=FOLDER"
            raise ConfigError(reason, f"run.dir={self.path.absolute()}", fix) from None

    def write_config(self, tree: dict[str, Any]) -> None:
        import yaml

        write_whole(self.path / "config.yaml", yaml.safe_dump(tree, sort_keys=False))

    def write_result(self, record: dict[str, Any]) -> None:
        write_whole(self.path / "result.json", json.dumps(record, indent=2, allow_nan=False) + "\n")

    def result(self) -> dict[str, Any]:
        """The written result, or an empty mapping where there is none or it is broken."""
        try:
            return json.loads((self.path / "result.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}

    def rows(self) -> Iterator[dict[str, Any]]:
        """The rows of `metrics.jsonl`; a last line that was cut off is left out."""
        if self.metrics.is_file():
            for line in self.metrics.read_text(encoding="utf-8").splitlines():
                try:
                    yield json.loads(line)
                except json.JSONDecodeError:
                    return

    def forget_after(self, step: int) -> None:
        """Drops the rows of steps that a continued run will take again."""
        kept = [json.dumps(row) + "\n" for row in self.rows() if row["step"] <= step]
        write_whole(self.metrics, "".join(kept))
