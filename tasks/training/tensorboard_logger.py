"""TensorBoard as a copy of the run folder."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from tasks.training.loggers import CopyingLogger, numbered
from zoo.errors import ConfigError, shown
from zoo.run_folder import RunFolder

INDENT = "    "  # of code in Markdown, in which nothing has a meaning


class TensorBoard(CopyingLogger):
    """Writes `tensorboard/` by Lightning's `TensorBoardLogger`: `tensorboard --logdir runs`.

    It has the rows of the log as scalars, the figures, the configuration and alerts as text, and
    the options beside the final metrics as hyperparameters. A continued run writes it anew from its
    folder, so that each step stands in it once.

    Errors:
        ConfigError: the package is not installed.
    """

    title: ClassVar[str] = "TensorBoard"

    def __init__(self) -> None:
        if find_spec("tensorboard") is None:
            fix = "run: pip install 'residual-zoo[tensorboard]'"
            what = "the package tensorboard is not installed"
            raise ConfigError(what, "logger=tensorboard", fix)

    def start(self, folder: Path, config: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
        def begin() -> None:
            import yaml
            from lightning_fabric.loggers import TensorBoardLogger

            shutil.rmtree(folder / "tensorboard", ignore_errors=True)
            self.config, self.step = config, 0
            logger = TensorBoardLogger(folder, "", "tensorboard", default_hp_metric=False)
            text = yaml.safe_dump(dict(config), sort_keys=False)
            logger.experiment.add_text("config", as_code(text))
            self.run = logger
            self.catch_up(RunFolder(folder))

        self.guarded(begin)

    def row(self, row: Mapping[str, Any]) -> None:
        if self.run is not None:
            self.step = row["step"]
            known = {k: value for k, value in row.items() if k != "step" and value is not None}
            self.guarded(lambda: self.run.log_metrics(known, self.step))
            self.flush()

    def flush(self) -> None:
        """Writes what waits, for a process that may be killed."""
        if self.run is not None:
            self.guarded(self.run.save)

    def figure(self, name: str, path: Path, step: int) -> None:
        if self.run is not None:
            tag = f"figures/{numbered(name)[0]}"  # one row of pictures
            add = self.run.experiment.add_image
            self.guarded(lambda: add(tag, pixels(path), step, dataformats="HWC"))
            self.flush()

    def alert(self, title: str, text: str) -> None:
        if self.run is not None:
            said = as_code(text)
            self.guarded(lambda: self.run.experiment.add_text(f"alerts/{title}", said, self.step))
            self.flush()

    def finish(self, result: Mapping[str, Any], figures: Mapping[str, Path]) -> None:
        for name, path in figures.items():
            self.figure(name, path, result["steps"])

        def end() -> None:
            if result["metrics"]:
                self.run.log_hyperparams(self.config, result["metrics"], result["steps"])
            self.run.finalize(result["status"])

        if self.run is not None:
            self.guarded(end)
        self.run = None


def as_code(text: str) -> str:
    r"""A text as code in Markdown, in which names of others have no meaning.

    >>> as_code("[a](b)\n<i>")
    '    [a](b)\n    <i>'
    """
    return "\n".join(INDENT + shown(line) for line in text.splitlines())


def pixels(picture: Path) -> Any:
    """The pixels `[H, W, 3]` of a picture, from 0 to 255."""
    import numpy as np
    from PIL import Image

    with Image.open(picture) as image:
        return np.asarray(image.convert("RGB"))
