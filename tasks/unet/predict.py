"""Masks for a folder of images, from a trained run."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from tasks.data.encoded import Encoded, Mode, array, converted, read_image
from tasks.data.folders import folder_at
from tasks.data.masks.palette import palette
from tasks.data.phrases import shown
from tasks.inference.files import InputFiles, images_in, output_folder, writing
from zoo.config.sizes import Width
from zoo.errors import ConfigError, DataError
from zoo.report import Report
from zoo.run_folder import RunFolder
from zoo.system.atomic import atomic_write


class PredictMasks:
    """Writes a mask for every image: a PNG of the image's own size whose values are classes.

    A mask has its image's name with the ending `.png`. Where names of images differ in the ending
    alone, theirs stays in front of it. Files that are no images are named in the report.

    Args:
        path: an image, or a folder of images; folders inside it are searched too.
        out: where masks are written; None: `predictions` in the run folder.
        size: pixels to which shorter sides are scaled before the net sees the images; None: as
            in training.
    """

    def __init__(
        self,
        path: str | None = None,
        out: str | None = None,
        size: Width | None = None,
    ):
        if path is None:
            raise ValueError("predict needs path=IMAGES, an image or a folder of them")
        self.path, self.out, self.size = folder_at(path), out, size

    def __call__(self, task: Any, folder: RunFolder) -> Report:
        out = output_folder(self.out, folder.path / "predictions", "out")
        images = images_in(self.path)
        targets = self.targets(images, out)
        mode: Mode = "rgb" if task.images.shape[1] == 3 else "grey"
        shorter = self.size or task.data.shorter
        names, colours = task.data.classes, palette(len(task.data.classes))
        written = []
        for file, target in zip(images.files, targets, strict=True):
            encoded = Encoded(file, "path", 0)
            pixels = read_image(encoded, lambda image: array(converted(image, mode), None))
            if isinstance(pixels, str):
                images.add_unreadable(file, pixels)
                continue
            probabilities = mask_probabilities(task, torch.from_numpy(pixels.copy()), shorter)
            try:
                with writing(target, "out"):
                    target.parent.mkdir(parents=True, exist_ok=True)
                    atomic_write(target, png(probabilities.argmax(0).to(torch.uint8), colours))
            except ConfigError as error:  # of this name alone, where others can be written
                images.add_unreadable(file, f"its mask {str(error).partition(' -- ')[0]}")
                continue
            written.append({"image": shown(file.path), "mask": shown(target)})
        if not written:
            what = f"none of {len(targets)} files is an image whose mask can be written"
            raise DataError(what, shown(self.path), "give path=FOLDER with images")
        record = {"masks": written, "classes": list(names), "folder": shown(out)}
        lines = images.lines() + [f"{number} {shown(name)}" for number, name in enumerate(names)]
        lines.append(f"{len(written)} masks in {shown(out)}")
        return Report(record | images.record(), "\n".join(lines))

    def targets(self, images: InputFiles, out: Path) -> list[Path]:
        """The path of the mask of every file.

        Errors:
            ConfigError: masks would lie among the images.
        """
        if any(out.resolve().is_relative_to(folder) for folder in images.folders):
            what = f"{shown(out)} is among the images"
            raise ConfigError(what, f"path={shown(self.path)}", "give out=FOLDER elsewhere")
        paths = [Path(file.relative) for file in images.files]
        names = [path.with_name(f"{path.stem}.png") for path in paths]
        whole = [path.with_name(f"{path.name}.png") for path in paths]
        while True:  # a whole name can be what is left of another one
            uses = Counter(names)
            fresh = [w if uses[n] > 1 else n for n, w in zip(names, whole, strict=True)]
            if fresh == names:
                return [out / name for name in names]
            names = fresh


def mask_probabilities(task: Any, image: Tensor, shorter: int | None) -> Tensor:
    """The probability of every class at every pixel, `[classes, H, W]` on the CPU.

    Args:
        task: the trained task.
        image: `[C, H, W]` uint8.
        shorter: pixels to which its shorter side is scaled for the net; None: as it is.
    """
    x = task.normalised(image[None].to(task.device))
    height, width = image.shape[1:]
    if shorter is None or shorter == min(height, width):
        return task.model(x)[0].float().softmax(0).cpu()
    scale = shorter / min(height, width)
    size = [max(1, round(side * scale)) for side in (height, width)]
    x = F.interpolate(x, size, mode="bilinear", antialias=True)
    logits = F.interpolate(task.model(x).float(), (height, width), mode="bilinear")
    return logits[0].softmax(0).cpu()


def png(mask: Tensor, colours: Tensor) -> bytes:
    """The bytes of a PNG whose values are classes.

    Args:
        mask: `[H, W]` uint8, classes.
        colours: `[classes, 3]` uint8, its palette.
    """
    image = Image.fromarray(mask.numpy())
    image.putpalette(colours.flatten().tolist())
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
