"""Labels for a folder of images, from a trained run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tasks.data.decode import Encoded, Mode, pixels
from tasks.data.folders import File, folder_at, shown
from tasks.inference.files import SHOWN, images_in, output_file, writing
from zoo.errors import DataError
from zoo.report import Report
from zoo.run_folder import RunFolder
from zoo.system.atomic import atomic_write
from zoo.system.spreadsheet import spreadsheet

AT_ONCE = 64  # images of a batch


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
        found = images_in(self.path)
        rows: list[dict[str, Any]] = []
        for start in range(0, len(found.files), AT_ONCE):
            names, images = [], []
            for file in found.files[start : start + AT_ONCE]:
                image = opened(task, file)
                if isinstance(image, str):
                    found.add_unreadable(file, image)
                else:
                    names.append(shown(file.place))
                    images.append(image)
            if images:
                shares = probabilities(task, torch.from_numpy(np.stack(images)))
                rows += labels(names, shares, task.data.classes)
        if not rows:
            what = f"none of {len(found.files)} files is an image"
            raise DataError(what, shown(self.path), "give path=FOLDER with images")
        with writing(table, "out"):
            table.parent.mkdir(parents=True, exist_ok=True)
            atomic_write(table, spreadsheet(rows))
        record = {"labels": rows, "classes": list(task.data.classes), "file": shown(table)}
        lines = [*found.lines(), *(line(row) for row in rows[:SHOWN])]
        lines.append(f"{len(rows)} labels in {shown(table)}")
        return Report(record | found.record(), "\n".join(lines))


def opened(task: Any, file: File) -> np.ndarray | str:
    """An image `[C, H, W]` of bytes as the task takes it, or the reason why it cannot be read."""
    channels, height, width = task.images.shape[1:]
    mode: Mode = "rgb" if channels == 3 else "grey"
    return pixels(Encoded(file, "path", 0), mode, (height, width))


def probabilities(task: Any, images: Tensor) -> Tensor:
    """The probability of every class, `[B, classes]` on the CPU, of images of bytes."""
    return task.model(task.normalised(images.to(task.device))).float().softmax(1).cpu()


def labels(
    names: Iterable[Any], shares: Tensor, classes: tuple[str, ...], what: str = "image"
) -> list[dict[str, Any]]:
    """The most probable class of each thing that is named, and how probable it is."""
    best, numbers = shares.max(1)
    return [
        {what: name, "label": shown(classes[number]), "probability": round(share, 6)}
        for name, number, share in zip(names, numbers.tolist(), best.tolist(), strict=True)
    ]


def line(row: dict[str, Any]) -> str:
    """A row of the table for people."""
    name, label, probability = row.values()
    return f"{name}  {label}  {probability:.3f}"
