"""The run folder, which holds all that a run leaves."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zoo.errors import ConfigError, DataError, ResourceError
from zoo.system.atomic import PARTIAL, atomic_write, remove_partial_files
from zoo.system.one_writer import is_of_writer
from zoo.system.paths import expanded

SCHEMA = 1
RUNS = "runs"  # the folder in which run folders are made
ENDED = ("done", "diverged")  # statuses of a run that is a result
BEGUN = "# fit "  # before the words of a command
OUTCOMES = "outcomes.npz"  # what each test example adds to the primary metric, of compared runs:
# `test` [examples], and `items` [examples], their numbers in a set of which runs have other splits
STREAM = "stream.json"  # what the stream does by depth, of compared runs that are probed
AT_BEST = "_at_best_val"  # ends the names of metrics at the step of lowest val/loss


def is_content(path: Path) -> bool:
    """Whether a path is a file of a run, so no folder, no lease and none that was half written."""
    return not path.is_dir() and not path.match(PARTIAL) and not is_of_writer(path)


def runs_in(folder: str) -> str:
    """Advice where a run folder is wanted: to name one, such as the newest in a folder."""
    runs = [p.parent for p in Path(folder).glob("*/config.yaml")] if folder.strip() else []
    newest = max(runs, key=lambda path: path.stat().st_mtime, default=None)
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
        """The folder `where` or `runs/NAME`, not made yet; ConfigError where it holds a file."""
        path = Path(expanded(where or f"{RUNS}/{name}", f"run.dir={where}"))
        try:
            taken = path.exists() and (not path.is_dir() or any(map(is_content, path.rglob("*"))))
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
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            self.figures.mkdir(exist_ok=True)
        except OSError as error:
            reason = error.strerror or "cannot be made"
            fix = "name one that can be written: run.dir=FOLDER"
            raise ConfigError(reason, f"run.dir={self.path.absolute()}", fix) from None

    def is_at_start(self) -> bool:
        """Whether a run was begun and then ended by force before it wrote a checkpoint."""
        begun = (self.path / "config.yaml").is_file() and not any(self.checkpoints.glob("*.ckpt"))
        return begun and self.result().get("status") not in ENDED

    def sweep(self) -> None:
        """Removes what killed processes left half written."""
        for folder in (self.path, self.checkpoints):
            remove_partial_files(folder)

    def write_config(self, tree: dict[str, Any], words: list[str]) -> None:
        """Writes `config.yaml`; its first line has the words of the command that began the run."""
        import yaml

        first = f"{BEGUN}{json.dumps(words)}\n" if words else ""
        atomic_write(self.path / "config.yaml", first + yaml.safe_dump(tree, sort_keys=False))

    def words_with(self, words: list[str]) -> list[str]:
        """The words of the command that began the run, with those of the present one put in."""
        with (self.path / "config.yaml").open(encoding="utf-8") as file:
            first = file.readline()
        begun = json.loads(first.removeprefix(BEGUN)) if first.startswith(BEGUN) else []
        if not begun or not any(word.startswith("from=") for word in words):
            return words
        new = {word.partition("=")[0]: word for word in words if not word.startswith("from=")}
        return [*(w for w in begun if w.partition("=")[0] not in new), *new.values()]

    def write_result(self, result: dict[str, Any]) -> None:
        """Writes `result.json`, or in the system's temporary folder where the disk is full.

        Errors:
            ResourceError: it had to be written there.
        """
        text = json.dumps(result, indent=2, allow_nan=False) + "\n"
        try:
            atomic_write(self.path / "result.json", text)
        except ResourceError as error:
            other = Path(tempfile.gettempdir()) / f"{self.path.name}-result.json"
            atomic_write(other, text)
            fix = f"{error.fix}; the result lies in {other}"
            raise ResourceError(error.what, error.where, fix) from None

    def result(self) -> dict[str, Any]:
        """The written result, or an empty mapping where there is none or it is broken."""
        try:
            result = json.loads((self.path / "result.json").read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        return result if isinstance(result, dict) else {}

    def lines(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """The whole lines of `metrics.jsonl`, each with its row; a last one may be cut off.

        Errors:
            DataError: a line that is no JSON object with a step.
        """
        text = self.metrics.read_text(encoding="utf-8") if self.metrics.is_file() else ""
        for number, line in enumerate(text.splitlines(keepends=True), 1):
            if not line.endswith("\n"):
                return
            try:
                row = json.loads(line)
                int(row["step"])
            except (ValueError, TypeError, KeyError):
                fix = "remove the line, or begin the run again in another folder"
                raise DataError("a broken line", f"{self.metrics}:{number}", fix) from None
            yield line, row

    def rows(self) -> Iterator[dict[str, Any]]:
        """The rows of `metrics.jsonl`."""
        return (row for _, row in self.lines())

    def forget_after(self, step: int) -> None:
        """Drops the rows of steps that a continued run will take again."""
        earlier = [line for line, row in self.lines() if row["step"] <= step]
        atomic_write(self.metrics, "".join(earlier))
