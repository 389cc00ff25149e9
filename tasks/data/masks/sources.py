"""Your own images with masks, or any data set of the Hub that has both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import torch
from annotated_types import Ge, Gt, Le, Len

from tasks.data.alike import equal_images, untrained_classes
from tasks.data.folders import shown
from tasks.data.images.dataset import statistics
from tasks.data.images.sources import TEST, VAL, Batch, OnBad, Seed, Share, idle_shares, shares
from tasks.data.masks.dataset import MaskSet
from zoo.config.sizes import Width as Side

if TYPE_CHECKING:
    from tasks.data.source import Source

Value = Annotated[int, Ge(0), Le(255)]


class Masks:
    """Your own images with masks, or any data set of the Hub with an image and a mask in a row.

    A folder holds Parquet files, as on the Hub, or images and masks of the same names in
    `images/` and `masks/`, at the top or in each split folder (`train/images/a.jpg` with
    `train/masks/a.png`; split folders are those of `Images`). Or a table `metadata.csv` (or
    `.jsonl`, at the top or in each split folder) names the two files of each row:

        file_name,mask_file_name
        0001.jpg,0001_mask.png
        0002.jpg,0002_mask.png

    A mask is an image of the same size whose grey values, or numbers in a palette, stand for
    classes. What is not read is named in a note. Images are decoded once, to bytes in memory.

    Args:
        path: folder, or else an id of the Hub, which is downloaded.
        name: which configuration, where the data has several.
        image: column of the images; None: the only other one of that type, or `image`.
        mask: column of the masks; None: the only one with a usual name, such as `mask` or `label`.
        train_split: None: `train`, or the only split.
        val_split: None: `val`, `valid`, `validation` or `dev` if it is there. If it is not, or with
            the name of the training split, a share of the training split.
        test_split: None: `test` if it is there. If not, likewise.
        val: share of the training split, less the test's, that is for validation.
        test: share of the training split that is for the test; it is always the same one.
        seed: of the choice of the validation part.
        classes: names of the classes; None: their values.
        values: the value of each class in the masks; None: 0 and up.
        ignore: values of pixels without a class, which no loss or metric sees.
        size: images are scaled until they cover size x size pixels, or [height, width], and their
            centres are cut out; masks take the nearest pixel. None: all images have one size.
        mode: `rgb` or `grey`, into which every image is converted.
        on_bad: at an image or mask that cannot be read, stop with an error, or skip and count it.
        mean: per channel, of values between 0 and 1; None: of the training part.
        std: likewise.
        batch_size: images of a training batch over all processes.
    """

    def __init__(
        self,
        path: str | None = None,
        name: str | None = None,
        image: str | None = None,
        mask: str | None = None,
        train_split: str | None = None,
        val_split: str | None = None,
        test_split: str | None = None,
        val: Share = VAL,
        test: Share = TEST,
        seed: Seed = 0,
        classes: Annotated[list[str], Len(2)] | None = None,
        values: Annotated[list[Value], Len(2)] | None = None,
        ignore: list[Value] | None = None,
        size: Side | Annotated[list[Side], Len(2, 2)] | None = None,
        mode: Literal["rgb", "grey"] = "rgb",
        on_bad: OnBad = "error",
        mean: list[float] | None = None,
        std: list[Annotated[float, Gt(0)]] | None = None,
        batch_size: Batch = 8,
    ):
        if path is None:
            raise ValueError("data=masks needs data.path=FOLDER or an id of the Hub")
        channels = {"rgb": 3, "grey": 1}[mode]
        for key, given in {"mean": mean, "std": std}.items():
            if given is not None and len(given) != channels:
                raise ValueError(f"{key}={given} has {len(given)} numbers, mode={mode} {channels}")
        if classes and values and len(classes) != len(values):
            raise ValueError(f"{len(classes)} classes have {len(values)} values")
        meant = values or range(len(classes or ()))
        if len({*meant, *(ignore or [])}) != len(meant) + len(ignore or []):
            raise ValueError(f"values={[*meant]} and ignore={ignore} name a value twice")
        self.path, self.name, self.image, self.mask = path, name, image, mask
        self.given = (train_split, val_split, test_split)
        self.val, self.test, self.seed = val, test, seed
        self.classes, self.values, self.ignore = classes, values, ignore or []
        self.size = (size[0], size[1]) if isinstance(size, list) else size
        self.mode, self.on_bad = mode, on_bad
        self.mean, self.std, self.batch_size = mean, std, batch_size

    def source(self) -> Source:
        """The splits that are used."""
        from tasks.data.masks.trees import mask_rows
        from tasks.data.source import find_source

        return find_source(self.path, self.name, self.given, mask_rows)

    def load(self) -> MaskSet:
        from tasks.data.columns import find_pair, read_images
        from tasks.data.decode import decode
        from tasks.data.masks.values import Pair, as_classes, pair_pixels
        from tasks.data.rows import refuse_repeats

        source, where = self.source(), shown(self.path)
        used = source.splits
        image, mask = find_pair(used[source.parts["train"]], self.image, self.mask, where)
        refuse_repeats(source.files(image), where)
        both = zip(read_images(used, image), read_images(used, mask), strict=True)
        pairs = (Pair(image.content, image.split, image.number, mask) for image, mask in both)
        count = sum(map(len, used.values()))
        decoded = decode(pairs, count, self.mode, self.size, self.on_bad, where, pair_pixels)
        images = decoded.images[:, :-1].contiguous()
        stored, names = decoded.images[:, -1].contiguous(), [each.name for each in decoded.sources]
        masks, classes = as_classes(stored, names, self.classes, self.values, self.ignore, where)
        alike = torch.zeros(len(images), dtype=torch.long)  # shares know no classes
        places = source.places(decoded.kept)
        parts = shares(alike, places, self.val, self.test, self.seed)
        mean, std = statistics(images, parts["train"])
        mean, std = tuple(self.mean or mean), tuple(self.std or std)
        three = parts["train"], parts["val"], parts["test"]
        data = MaskSet(images, masks, *three, classes, mean, std, where)
        data.skipped, data.batch_size = len(decoded.bad), self.batch_size
        data.shorter = None if self.size is None else min(images.shape[2:])
        data.checked().notes = [
            *decoded.notes(),
            *source.notes,
            *idle_shares(places, self.val, self.test, self.seed),
            *equal_images(images, data.parts, [each.short for each in decoded.sources]),
            *untrained_classes({part: data.counts(n) for part, n in data.parts.items()}, classes),
        ]
        return data
