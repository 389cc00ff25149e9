"""How the trained runs of each task are called."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from tasks.cnn.predict import probabilities
from tasks.data.decode import Mode, array, converted, upright
from tasks.data.graphs.dataset import check_nodes
from tasks.diffusion.sample import SampleImages
from tasks.gnn.predict import node_shares, placed
from tasks.inference.restored import own_data
from tasks.inference.trained import Trained
from tasks.transformer.sample import SampleText
from tasks.unet.predict import mask_shares
from zoo.config.options import checked
from zoo.errors import DataError

Picture = Image.Image | np.ndarray[Any, Any] | Tensor
Pictures = Picture | Sequence[Picture]
CALL = "zoo.load(...)(...)"  # for messages
WANTED = "give uint8 [B, C, H, W], PIL images, or a list of these"


def bytes_of(image: Picture, channels: int, size: tuple[int, int] | None) -> Tensor:
    """One image `[C, H, W]` of bytes, scaled and cut to a size.

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
    """Images `[B, C, H, W]` of bytes.

    Errors:
        DataError: there are none, they differ in size, or one is no image.
    """
    single = isinstance(images, Image.Image) or getattr(images, "ndim", 4) == 3
    each: Any = [images] if single else images
    if not hasattr(each, "__len__") or len(each) == 0:
        raise DataError("there is no image", "images", WANTED)
    found = [bytes_of(image, channels, size) for image in each]
    shapes = {tuple(image.shape) for image in found}
    if len(shapes) > 1:
        raise DataError(f"images of the shapes {sorted(shapes)}", "images", "give one size a call")
    return torch.stack(found)


class TrainedLabels(Trained):
    """A classifier of images."""

    def prepare(self, images: Pictures) -> tuple[Tensor]:
        """Images of the training's size, normed: others are scaled and cut.

        Args:
            images: `[B, C, H, W]` uint8, a PIL image, or a list.
        """
        return (self.learned.normalised(self.pixels(images).to(self.learned.device)),)

    def pixels(self, images: Pictures) -> Tensor:
        channels, *size = self.learned.images.shape[1:]
        return batch_of(images, channels, (size[0], size[1]))

    @torch.no_grad()
    def forward(self, images: Pictures) -> Tensor:
        """The probability of each class, `[B, classes]`."""
        return probabilities(self.learned, self.pixels(images))


class TrainedMasks(Trained):
    """A segmentation net."""

    def prepare(self, images: Pictures) -> tuple[Tensor]:
        """Images normed, in their own size.

        Args:
            images: of one size, `[B, C, H, W]` uint8, a PIL image, or a list.
        """
        return (self.learned.normalised(self.pixels(images).to(self.learned.device)),)

    def pixels(self, images: Pictures) -> Tensor:
        return batch_of(images, self.learned.images.shape[1], None)

    @torch.no_grad()
    def forward(self, images: Pictures) -> Tensor:
        """The probability of each class at each pixel, `[B, classes, H, W]`.

        The net sees shorter sides of the training's length; `.argmax(1)` is the map of classes.
        """
        pixels = self.pixels(images)
        shares = [mask_shares(self.learned, each, self.learned.data.shorter) for each in pixels]
        return torch.stack(shares)


class TrainedText(Trained):
    """A language model."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The text of each symbol."""
        tokenizer = self.learned.data.tokenizer
        return tuple(tokenizer.decode([number]) for number in range(len(tokenizer)))

    def prepare(self, text: str) -> tuple[Tensor]:
        """Tokens `[1, T]` of the end of a text; the module gives the logits of what follows each.

        Args:
            text: of known characters; of an empty one the symbol that comes before a text.
        """
        numbers = SampleText(text).given(self.learned)[-self.learned.context :]
        return (torch.tensor([numbers], device=self.learned.device),)

    @torch.no_grad()
    def forward(self, text: str = "", tokens: int = 200, **options: Any) -> str:
        """What follows a text.

        Args:
            text: that comes first, of characters of the training text.
            tokens: symbols to add.
            options: `temperature`, `top_k` and `seed` as of the verb `sample`.
        """
        given = {"prompt": text, "tokens": tokens, **options}
        return SampleText(**checked(SampleText, given, CALL)).continuation(self.learned)


class TrainedNodes(Trained):
    """A classifier of nodes."""

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(self.learned.data.class_names)

    def prepare(self, graph: Any = None) -> tuple[Any, ...]:
        """Features and what the net's convolutions take of the edges.

        Args:
            graph: has `x` `[N, F]` and `edge_index` `[2, E]`; None: the run's own.
        """
        graph = own_data(self.learned, self.folder) if graph is None else graph
        for name in ("x", "edge_index"):
            if getattr(graph, name, None) is None:
                what = f"a {type(graph).__name__} has no {name}"
                raise DataError(what, "graph", "give x [N, F] and edge_index [2, E]")
        x, edges = torch.as_tensor(graph.x).float(), torch.as_tensor(graph.edge_index)
        check_nodes(x, edges, "graph")
        return placed(self.learned, x, edges.long())

    @torch.no_grad()
    def forward(self, graph: Any = None) -> Tensor:
        """The probability of each class, `[N, classes]`."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sparse", category=UserWarning)
            return node_shares(self.learned, *self.prepare(graph))


class TrainedImages(Trained):
    """A diffusion model."""

    def prepare(self, images: Pictures) -> tuple[Tensor]:
        """Images between -1 and 1; the module takes them noised, with timesteps and labels.

        Args:
            images: `[B, C, H, W]` uint8, a PIL image, or a list.
        """
        channels, *size = self.learned.images.shape[1:]
        pixels = batch_of(images, channels, (size[0], size[1]))
        return (pixels.to(self.learned.device) / 127.5 - 1,)

    def forward(
        self, count: int = 1, seed: int = 0, label: str | int | None = None, **options: Any
    ) -> Tensor:
        """New images `[count, C, H, W]` uint8.

        Args:
            count: of images.
            seed: of the noise that they begin with.
            label: name of their class, for conditional models; None: each in turn.
            options: `steps`, `scheduler` and `guidance` as of the verb `sample`.
        """
        given = {"count": count, "seed": seed, "label": label, **options}
        return SampleImages(**checked(SampleImages, given, CALL)).made(self.learned)
