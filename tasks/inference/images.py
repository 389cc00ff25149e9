"""Images of a caller as the bytes that a net was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from tasks.data.encoded import Mode, array, converted, upright
from tasks.inference.signature import Inputs, Signature, Sizes
from zoo.errors import DataError

Picture = Image.Image | np.ndarray[Any, Any] | Tensor
Pictures = Picture | Sequence[Picture]
WANTED = "give uint8 [B, C, H, W], PIL images, or a list of these"


def bytes_of(image: Picture, channels: int, size: tuple[int, int] | None) -> Tensor:
    """Returns one image as bytes `[C, H, W]`, scaled and cut to a size.

    Errors:
        DataError: it is no image, or has other channels.
    """
    if isinstance(image, Image.Image):
        mode: Mode = "rgb" if channels == 3 else "grey"
        return torch.from_numpy(array(converted(upright(image), mode), size).copy())
    if not isinstance(image, np.ndarray | Tensor):
        raise DataError(f"an image is a {type(image).__name__}", "images", WANTED)
    pixels = torch.as_tensor(image)
    what = f"{str(pixels.dtype).removeprefix('torch.')} of shape {[*pixels.shape]}"
    if pixels.dtype != torch.uint8 or pixels.ndim != 3 or len(pixels) != channels:
        raise DataError(f"an image is {what}, where C={channels}", "images", WANTED)
    if size is None or pixels.shape[1:] == size:
        return pixels.cpu()
    flat = pixels.movedim(0, -1).cpu().numpy()
    scaled = array(Image.fromarray(flat[..., 0] if channels == 1 else flat), size)
    return torch.from_numpy(scaled.copy())


def batch_of(images: Pictures, channels: int, size: tuple[int, int] | None) -> Tensor:
    """Returns images as bytes `[B, C, H, W]`.

    Args:
        images: one or several, as `WANTED` names them.
        channels: C.
        size: height and width of all; None: their own.

    Errors:
        DataError: there are none, they differ in size, or one is no image.
    """
    single = isinstance(images, Image.Image) or getattr(images, "ndim", 4) == 3
    each: Any = [images] if single else images
    if not hasattr(each, "__len__") or len(each) == 0:
        raise DataError("there is no image", "images", WANTED)
    pixels = [bytes_of(image, channels, size) for image in each]
    shapes = {tuple(image.shape) for image in pixels}
    if len(shapes) > 1:
        raise DataError(f"images of the shapes {sorted(shapes)}", "images", "give one size a call")
    return torch.stack(pixels)


def image_signature(task: Any, step: int = 0) -> Signature:
    """How other programs call a net of images: normalised `[B, C, H, W]` to logits.

    Args:
        task: an `ImageTask`, trained.
        step: height and width may be any multiples of it; 0: they are those of the training.
    """
    channels, height, width = task.images.shape[1:]
    axes = {0: "batch", 2: "height", 3: "width"} if step else {0: "batch"}

    def sizes(number: int) -> Sizes:
        if not step:
            return {"batch": number}
        tall, wide = height // step + number, width // step + 2 * number
        return {"batch": number, "height": step * tall, "width": step * wide}

    def draw(sizes: Sizes, draws: torch.Generator) -> Inputs:
        size = sizes["batch"], channels, sizes.get("height", height), sizes.get("width", width)
        return (task.normalised(torch.randint(256, size, generator=draws, dtype=torch.uint8)),)

    scale = {"mean": [*task.data.mean], "std": [*task.data.std]}  # of values between 0 and 1
    about: dict[str, Any] = {"normalised": scale, "classes": [*task.data.classes]}
    about |= {"multiples": {"height": step, "width": step}} if step else {}
    ends = [(step, step), (height // step * step, width // step * step)] if step else []
    extremes = [{"batch": 1, "height": tall, "width": wide} for tall, wide in ends]
    return Signature({"images": axes}, "logits", sizes, draw, about, extremes)
