"""Your own images with masks, or any data set of the Hub that has both."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge, Gt, Le, Len

from tasks.data.image_set import statistics, stratified
from tasks.data.images import Batch, OnBad, Seed, Share, share
from tasks.data.mask_set import MaskSet
from zoo.sizes import Width as Side

Value = Annotated[int, Ge(0), Le(255)]


class Masks:
    """Your own images with masks, or any data set of the Hub with an image and a mask in a row.

    A folder holds Parquet files, as on the Hub, or images with a `metadata.csv` whose columns
    `file_name` and `mask_file_name` name the files of each row. A mask is an image of the same size
    whose grey values, or numbers in a palette, stand for classes. Images are decoded once, to
    bytes in memory.

    Args:
        path: folder, or else an id of the Hub, which is downloaded.
        name: which configuration, where the data has several.
        image: column of the images; None: the only other one of that type, or `image`.
        mask: column of the masks; None: the only one with a usual name, such as `mask` or `label`.
        train_split: None: `train`, or the only split.
        val_split: None: `validation`, `valid` or `val` if it is there. If it is not, or with the
            name of the training split, a share of the training split.
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
        val: Share = 0.1,
        test: Share = 0.2,
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

    def splits(self) -> dict[str, Any]:
        """All splits by name."""
        from tasks.data.hub import load_splits

        return load_splits(self.path, self.name)

    def pairs(self, used: dict[str, Any], train: str) -> Iterator[Any]:
        """The images of some splits with their masks, one after the other, not decoded yet."""
        from tasks.data.columns import find_pair, read_images
        from tasks.data.mask_values import Pair

        columns = find_pair(used[train], self.image, self.mask, self.path)
        for image, mask in zip(*(read_images(used, column) for column in columns), strict=True):
            yield Pair(image.content, image.split, image.number, mask)

    def load(self) -> MaskSet:
        from tasks.data.columns import find_parts
        from tasks.data.decode import decode
        from tasks.data.mask_values import as_classes, pair_pixels

        path = self.path
        splits = self.splits()
        parts = find_parts(splits, *self.given, path)
        used = {name: splits[name] for name in parts.values()}
        names: list[str] = []

        def named() -> Iterator[Any]:
            for pair in self.pairs(used, parts["train"]):
                names.append(pair.name)
                yield pair

        count = sum(map(len, used.values()))
        both, kept = decode(named(), count, self.mode, self.size, self.on_bad, path, pair_pixels)
        images, stored = both[:, :-1].contiguous(), both[:, -1].contiguous()
        names = [name for name, is_kept in zip(names, kept.tolist(), strict=True) if is_kept]
        masks, classes = as_classes(stored, names, self.classes, self.values, self.ignore, path)
        source = torch.arange(len(used)).repeat_interleave(torch.tensor([*map(len, used.values())]))
        numbers = {name: (source[kept] == i).nonzero().flatten() for i, name in enumerate(used)}
        alike = torch.zeros(len(images), dtype=torch.long)  # shares know no classes
        train = numbers[parts["train"]]
        if "test" in parts:
            test = numbers[parts["test"]]
        else:
            train, test = stratified(alike, train, share(self.test, train), 0, "test")
        if "val" in parts:
            val = numbers[parts["val"]]
        else:
            train, val = stratified(alike, train, share(self.val, train), self.seed, "val")
        mean, std = statistics(images, train)
        mean, std = tuple(self.mean or mean), tuple(self.std or std)
        data = MaskSet(images, masks, train, val, test, classes, mean, std, path)
        data.skipped, data.batch_size = int((~kept).sum()), self.batch_size
        data.shorter = None if self.size is None else min(images.shape[2:])
        return data.checked()
