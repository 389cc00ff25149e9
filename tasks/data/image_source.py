"""Images of files, of tables or of the Hub with a target each: what their sources share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, TypeVar

from torch import Tensor

from tasks.data.file_rows import Bytes
from tasks.data.image_dataset import ImageDataset, channel_statistics
from tasks.data.notes import equal_images, untrained_classes
from tasks.data.phrases import shown
from tasks.data.shares import idle_shares, parts_with_shares

if TYPE_CHECKING:
    from tasks.data.decode import Decoded
    from tasks.data.encoded import Extent, Mode
    from tasks.data.splits import SplitNames
    from tasks.data.used_splits import UsedSplits

OnBad = Literal["error", "skip"]
Data = TypeVar("Data", bound=ImageDataset)


class ImageSource:
    """The options of any source of images, and the data set that is made of what it read.

    Args:
        path: folder, or else an id of the Hub.
        name: which configuration, where the data has several.
        split_names: the splits for `train`, `val` and `test` that the user names.
        val: share of the training split, less the test's, that is for validation.
        test: share of the training split that is for the test.
        seed: of the choice of the validation part.
        size: pixels of both sides, or height and width; None: as the images are.
        mode: into which every image is converted.
        on_bad: at an image that cannot be read, stop with an error, or skip and count it.
        mean: per channel, of values between 0 and 1; None: of the training part.
        std: likewise.
        batch_size: images of a training batch over all processes.

    Errors:
        ValueError: a mean or std has another number of channels than the mode.
    """

    def __init__(
        self,
        path: str,
        name: str | None,
        split_names: SplitNames,
        val: float,
        test: float,
        seed: int,
        size: Extent | None,
        mode: Mode,
        on_bad: OnBad,
        mean: Sequence[float] | None,
        std: Sequence[float] | None,
        batch_size: int,
    ):
        channels = {"rgb": 3, "grey": 1}[mode]
        for key, values in {"mean": mean, "std": std}.items():
            if values is not None and len(values) != channels:
                what = f"{key}={values} has {len(values)} numbers, mode={mode} {channels}"
                raise ValueError(what)
        self.path, self.name, self.split_names = path, name, split_names
        self.val, self.test, self.seed = val, test, seed
        self.size, self.mode, self.on_bad = size, mode, on_bad
        self.mean, self.std, self.batch_size = mean, std, batch_size

    def dataset(
        self,
        kind: type[Data],
        images: Bytes,
        targets: Bytes,
        strata: Tensor,
        classes: tuple[str, ...],
        decoded: Decoded,
        splits: UsedSplits,
    ) -> Data:
        """The checked data set of all images that could be read, with notes on what is odd.

        Args:
            kind: its class.
            images: `[N, C, H, W]` uint8.
            targets: `[N, ...]`, what is to be learned of each image.
            strata: `[N]` long, the classes by which shares are stratified.
            classes: names of the classes.
            decoded: where the images come from, and which could not be read.
            splits: the splits that they are of.
        """
        in_split = splits.part_examples(decoded.readable)
        parts = parts_with_shares(strata, in_split, self.val, self.test, self.seed)
        mean, std = channel_statistics(images, parts["train"])
        three = parts["train"], parts["val"], parts["test"]
        norms = tuple(self.mean or mean), tuple(self.std or std)
        data = kind(images, targets, *three, classes, *norms, shown(self.path), len(decoded.bad))
        data.batch_size = self.batch_size
        data.checked().notes = [
            *decoded.notes(),
            *splits.notes,
            *idle_shares(in_split, self.val, self.test, self.seed),
            *equal_images(images, data.parts, lambda number: decoded[number].short),
            *untrained_classes({part: data.counts(n) for part, n in data.parts.items()}, classes),
        ]
        return data
