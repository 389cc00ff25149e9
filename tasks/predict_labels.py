"""Labels for a folder of images, from a trained run."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tasks.data.decode import Encoded, Mode, pixels
from tasks.files import images_in
from tasks.use import Report
from zoo.errors import DataError
from zoo.folder import RunFolder, write_whole

AT_ONCE = 64  # images of a batch
SHOWN = 20  # lines of each kind in the text


class PredictLabels:
    """Writes the most probable class of every image to a table, `predictions/labels.csv`.

    Images are converted as those of the training were: scaled until they cover the same size, and
    cut. Files that are no images are named in the report.

    Args:
        path: an image, or a folder of images; folders inside it are searched too.
        out: the table; None: `predictions/labels.csv` in the run folder.
    """

    def __init__(self, path: str | None = None, out: str | None = None):
        if path is None:
            raise ValueError("predict needs path=IMAGES, an image or a folder of them")
        self.path, self.out = Path(path).expanduser(), out

    def __call__(self, task: Any, folder: RunFolder) -> Report:
        table = Path(self.out).expanduser() if self.out else folder.path / "predictions/labels.csv"
        root, files = images_in(self.path)
        found, bad = [], []
        for start in range(0, len(files), AT_ONCE):
            images = opened(task, files[start : start + AT_ONCE])
            lost = {file: why for file, why in images.items() if isinstance(why, str)}
            bad += [{"file": str(file), "reason": why} for file, why in lost.items()]
            good = {str(f.relative_to(root)): v for f, v in images.items() if f not in lost}
            found += labels(task, good) if good else []
        if not found:
            what = f"none of {len(files)} files is an image"
            raise DataError(what, str(self.path), "give path=FOLDER with images")
        text = io.StringIO()
        writer = csv.DictWriter(text, list(found[0]))
        writer.writeheader()
        writer.writerows(found)
        table.parent.mkdir(parents=True, exist_ok=True)
        write_whole(table, text.getvalue())
        record = {"labels": found, "bad": bad, "classes": list(task.data.classes)}
        lines = [f"cannot be read: {entry['file']} ({entry['reason']})" for entry in bad[:SHOWN]]
        lines += ["{image}  {label}  {probability:.3f}".format(**e) for e in found[:SHOWN]]
        lines.append(f"{len(found)} labels in {table}")
        return Report({**record, "file": str(table)}, "\n".join(lines))


def opened(task: Any, files: Sequence[Path]) -> dict[Path, np.ndarray | str]:
    """Images `[C, H, W]` of bytes as the task takes them, or the reason why one cannot be read."""
    channels, height, width = task.images.shape[1:]
    mode: Mode = "rgb" if channels == 3 else "grey"
    return {file: pixels(Encoded(str(file), "path", 0), mode, (height, width)) for file in files}


def labels(task: Any, images: dict[str, Any]) -> list[dict[str, Any]]:
    """The most probable class of each image, and how probable it is."""
    x = torch.from_numpy(np.stack(list(images.values()))).to(task.device)
    shares, classes = task.model(task.normalised(x)).float().softmax(1).cpu().max(1)
    return [
        {"image": name, "label": task.data.classes[number], "probability": round(share, 6)}
        for name, number, share in zip(images, classes.tolist(), shares.tolist(), strict=True)
    ]
