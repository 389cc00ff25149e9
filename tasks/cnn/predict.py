"""Labels for a folder of images, from a trained run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tasks.data.encoded import Encoded, Mode, pixels
from tasks.data.folders import File, folder_at
from tasks.data.phrases import shown
from tasks.inference.files import SHOWN, images_in, output_file, writing
from zoo.errors import DataError
from zoo.report import Report
from zoo.run_folder import RunFolder
from zoo.system.atomic import atomic_write
from zoo.system.spreadsheet import spreadsheet

AT_ONCE = 64  # images in a batch


class PredictLabels:
    """Writes the most probable class of every image to a table, `predictions/labels.csv`.

    Images are converted as those of the training were: scaled until they cover the same size, and
    cut. Files that are no images are named in the report. Names are spelled with escapes where
    they are no text.

    Args:
        path: an image, or a folder of images; folders inside it are searched too.
        out: the table; None: `predictions/labels.csv` in the run folder.
    """

    def __init__(self, path: str | None = None, out: str | None = None):
        if path is None:
            raise ValueError("predict needs path=IMAGES, an image or a folder of them")
        self.path, self.out = folder_at(path), out

    def __call__(self, task: Any, folder: RunFolder) -> Report:
        table = output_file(self.out, folder.path / "predictions" / "labels.csv", "out")
        files = images_in(self.path)
        rows: list[dict[str, Any]] = []
        for start in range(0, len(files.files), AT_ONCE):
            names, images = [], []
            for file in files.files[start : start + AT_ONCE]:
                image = read_pixels(task, file)
                if isinstance(image, str):
                    files.add_unreadable(file, image)
                else:
                    names.append(shown(file.relative))
                    images.append(image)
            if images:
                probable = probabilities(task, torch.from_numpy(np.stack(images)))
                rows += label_rows(names, probable, task.data.classes)
        if not rows:
            what = f"none of {len(files.files)} files is an image"
            raise DataError(what, shown(self.path), "give path=FOLDER with images")
        with writing(table, "out"):
            table.parent.mkdir(parents=True, exist_ok=True)
            atomic_write(table, spreadsheet(rows))
        record = {"labels": rows, "classes": list(task.data.classes), "file": shown(table)}
        lines = [*files.lines(), *(label_line(row) for row in rows[:SHOWN])]
        lines.append(f"{len(rows)} labels in {shown(table)}")
        return Report(record | files.record(), "\n".join(lines))


def read_pixels(task: Any, file: File) -> np.ndarray | str:
    """A file's image `[C, H, W]` uint8 in the size of the training, or why it cannot be read."""
    channels, height, width = task.images.shape[1:]
    mode: Mode = "rgb" if channels == 3 else "grey"
    return pixels(Encoded(file, "path", 0), mode, (height, width))


def probabilities(task: Any, images: Tensor) -> Tensor:
    """The probabilities `[B, classes]`, on the CPU, for images `[B, C, H, W]` uint8."""
    return task.answer(images.to(task.device)).softmax(1).cpu()


def label_rows(
    names: Iterable[Any], probable: Tensor, classes: tuple[str, ...], what: str = "image"
) -> list[dict[str, Any]]:
    """A row for each example: its name, its most probable class, and how probable that is.

    Args:
        names: of N examples.
        probable: `[N, classes]`, the probabilities.
        classes: their names.
        what: the column of the names.
    """
    best, numbers = probable.max(1)
    return [
        {what: name, "label": shown(classes[number]), "probability": round(highest, 6)}
        for name, number, highest in zip(names, numbers.tolist(), best.tolist(), strict=True)
    ]


def label_line(row: dict[str, Any]) -> str:
    """One of the `label_rows` as a line of text."""
    name, label, probability = row.values()
    return f"{name}  {label}  {probability:.3f}"
