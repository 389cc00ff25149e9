"""Images with class labels: one embedded set, and any of a user's or of the Hub."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from annotated_types import Ge, Gt, Le, Lt
from torch import Tensor

from tasks.data.alike import equal_images, untrained_classes
from tasks.data.folders import shown
from tasks.data.images.dataset import ImageSet, statistics, stratified
from zoo.config.sizes import Batch, Width

Share = Annotated[float, Gt(0), Lt(1)]
VAL, TEST = 0.1, 0.2  # shares for validation and test
Seed = Annotated[int, Ge(0)]
OnBad = Literal["error", "skip"]


def share(part: float, of: Tensor) -> int:
    """How many examples a share is: at least one."""
    return max(1, round(part * len(of)))


def shares(
    labels: Tensor, places: dict[str, Tensor], val: float, test: float, seed: int
) -> dict[str, Tensor]:
    """The numbers of the examples of each part; those that are not there are shares of `train`.

    Args:
        labels: `[N]` long, by which shares are stratified.
        places: `[n]` long, the examples of `train` and of the other parts that are there.
        val: the share for validation, of what the test leaves.
        test: the share for the test, which is always the same one.
        seed: of the choice of the validation part.
    """
    parts = dict(places)
    for part, size, key in (("test", test, 0), ("val", val, seed)):
        if part not in parts:
            train = parts["train"]
            rest, taken = stratified(labels, train, share(size, train), key, part)
            parts |= {"train": rest, part: taken}
    return parts


def idle_shares(places: Mapping[str, Tensor], val: float, test: float, seed: int) -> Iterator[str]:
    """A note for each option of shares that was given where the part is there already."""
    known = {"val": (val, VAL), "test": (test, TEST)}
    given = [(key, share, key) for key, (share, usual) in known.items() if share != usual]
    for key, value, part in [*given, *([("seed", seed, "val")] if seed else [])]:
        if part in places:
            yield f"data.{key}={value} counts for nothing: the data has a {part} part"


def digits_rows() -> Tensor:
    """`[1797, 65]`: 64 pixels and the label, from scikit-learn's file; its import takes seconds."""
    from importlib.util import find_spec

    spec = find_spec("sklearn")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    path = Path(spec.submodule_search_locations[0], "datasets", "data", "digits.csv.gz")
    return torch.from_numpy(np.loadtxt(path, delimiter=",", dtype=np.float32))


class Digits:
    """Handwritten digits of 8 x 8 grey pixels, embedded in scikit-learn: no download.

    1437 images for training and validation and 360 for the test, stratified by class. The test
    part is always the same. Values from 0 to 16 are scaled to 0 to 255.

    Source: Alpaydin and Kaynak 1998, https://doi.org/10.24432/C50P49, its test part.

    Args:
        val: share of the 1437 images that is for validation.
        seed: of the choice of the validation part.
        batch_size: images of a training batch over all processes.
    """

    def __init__(self, val: Share = 0.1, seed: Seed = 0, batch_size: Batch = 64):
        self.val, self.seed, self.batch_size = val, seed, batch_size

    def load(self) -> ImageSet:
        rows = digits_rows()
        pixels = rows[:, :64].view(-1, 1, 8, 8)
        images = (pixels * (255 / 16)).round().to(torch.uint8)
        labels = rows[:, 64].long()
        rest, test = stratified(labels, torch.arange(len(labels)), 360, 0, "test")
        train, val = stratified(labels, rest, share(self.val, rest), self.seed, "val")
        mean, std = statistics(images, train)
        names = tuple(str(digit) for digit in range(10))
        parts = (train, val, test)
        data = ImageSet(images, labels, *parts, names, mean, std, "digits")
        data.batch_size = self.batch_size
        return data.checked()


class Images:
    """Your own images, or any data set of the Hub that has one image and one class in a row.

    A folder holds Parquet files, as on the Hub, or images: `SPLIT/CLASS/IMAGE`, or `CLASS/IMAGE`
    where there are no split folders. Those are called `train` or `training`, `val`, `valid`,
    `validation` or `dev`, `test` or `testing`, in any case, and count at the top only; what lies
    beside them is refused. In the place of class folders a table `metadata.csv` (or `.jsonl`, at
    the top or in each split folder) may name the classes of the images:

        file_name,label
        0001.png,cat
        more/0002.png,dog

    Links are followed. What is not read is named in a note. Images are decoded once, to bytes in
    memory. Shares are stratified by class.

    Args:
        path: folder, or else an id of the Hub, which is downloaded.
        name: which configuration, where the data has several.
        image: column of the images; None: the only one of that type.
        label: column of the classes; None: the only one of that type, or `label`.
        train_split: None: `train`, or the only split.
        val_split: None: `val`, `valid`, `validation` or `dev` if it is there. If it is not, or with
            the name of the training split, a share of the training split.
        test_split: None: `test` if it is there. If not, likewise.
        val: share of the training split, less the test's, that is for validation.
        test: share of the training split that is for the test; it is always the same one.
        seed: of the choice of the validation part.
        size: shorter sides are scaled to it, centres of size x size are cut out; None: all images
            have one size.
        mode: `rgb` or `grey`, into which every image is converted. Transparency is laid over
            black, 16 bits are divided by 257.
        on_bad: at an image that cannot be read, stop with an error, or skip and count it.
        mean: per channel, of values between 0 and 1; None: of the training part.
        std: likewise.
        batch_size: images of a training batch over all processes.
    """

    def __init__(
        self,
        path: str | None = None,
        name: str | None = None,
        image: str | None = None,
        label: str | None = None,
        train_split: str | None = None,
        val_split: str | None = None,
        test_split: str | None = None,
        val: Share = VAL,
        test: Share = TEST,
        seed: Seed = 0,
        size: Width | None = None,
        mode: Literal["rgb", "grey"] = "rgb",
        on_bad: OnBad = "error",
        mean: list[Annotated[float, Ge(0), Le(1)]] | None = None,
        std: list[Annotated[float, Gt(0)]] | None = None,
        batch_size: Batch = 128,
    ):
        if path is None:
            raise ValueError("data=images needs data.path=FOLDER or an id of the Hub")
        channels = {"rgb": 3, "grey": 1}[mode]
        for key, given in {"mean": mean, "std": std}.items():
            if given is not None and len(given) != channels:
                raise ValueError(f"{key}={given} has {len(given)} numbers, mode={mode} {channels}")
        self.path, self.name, self.image, self.label = path, name, image, label
        self.splits = (train_split, val_split, test_split)
        self.val, self.test, self.seed = val, test, seed
        self.size, self.mode, self.on_bad = size, mode, on_bad
        self.mean, self.std, self.batch_size = mean, std, batch_size

    def load(self) -> ImageSet:
        from tasks.data.columns import find_image, find_label, read_images, read_labels
        from tasks.data.decode import decode
        from tasks.data.images.trees import class_notes, class_rows
        from tasks.data.rows import refuse_repeats
        from tasks.data.source import find_source

        source = find_source(self.path, self.name, self.splits, class_rows, class_notes)
        used, where = source.splits, shown(self.path)
        image = find_image(used[source.parts["train"]], self.image, where)
        label = find_label(used[source.parts["train"]], self.label, where)
        refuse_repeats(source.files(image), where)
        given, classes = read_labels(used, label, where)
        labels = torch.cat([*given.values()])
        images = read_images(used, image)
        decoded = decode(images, len(labels), self.mode, self.size, self.on_bad, where)
        labels = labels[decoded.kept]
        places = source.places(decoded.kept)
        parts = shares(labels, places, self.val, self.test, self.seed)
        mean, std = statistics(decoded.images, parts["train"])
        mean, std = tuple(self.mean or mean), tuple(self.std or std)
        three = parts["train"], parts["val"], parts["test"]
        data = ImageSet(decoded.images, labels, *three, classes, mean, std, where)
        data.skipped, data.batch_size = len(decoded.bad), self.batch_size
        data.checked().notes = [
            *decoded.notes(),
            *source.notes,
            *idle_shares(places, self.val, self.test, self.seed),
            *equal_images(data.images, data.parts, [each.short for each in decoded.sources]),
            *untrained_classes({part: data.counts(n) for part, n in data.parts.items()}, classes),
        ]
        return data
