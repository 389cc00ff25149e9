"""Your own images with masks, or any data set of the Hub that has both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import torch
from annotated_types import Ge, Gt, Le, Len

from tasks.data.image_source import ImageSource, OnBad
from tasks.data.masks.dataset import MaskSet
from tasks.data.phrases import shown
from tasks.data.shares import TEST, VAL, Seed, Share
from zoo.config.sizes import Batch
from zoo.config.sizes import Width as Side

if TYPE_CHECKING:
    from tasks.data.used_splits import UsedSplits

Value = Annotated[int, Ge(0), Le(255)]


class Masks(ImageSource):
    """Your own images with masks, or any data set of the Hub with an image and a mask in a row.

    A folder holds Parquet files, as on the Hub, or images and masks of the same names in
    `images/` and `masks/`, at the top or in each split folder (`train/images/a.jpg` with
    `train/masks/a.png`; split folders are those of `Images`). Or a table `metadata.csv` (or
    `.jsonl`, at the top or in each split folder) names the two files of each row:

        file_name,mask_file_name
        0001.jpg,0001_mask.png
        0002.jpg,0002_mask.png

    A mask is an image of the same size whose grey values, or numbers in a palette, stand for
    classes. What is not read is named in a note. Images are decoded once, to bytes in
    memory, or in a file of the cache where these are 256 MiB or more.

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
        split_names = (train_split, val_split, test_split)
        extent = (size[0], size[1]) if isinstance(size, list) else size
        images = (extent, mode, on_bad, mean, std, batch_size)
        super().__init__(path, name, split_names, val, test, seed, *images)
        if classes and values and len(classes) != len(values):
            raise ValueError(f"{len(classes)} classes have {len(values)} values")
        labelled, ignored = values or range(len(classes or ())), ignore or []
        if len({*labelled, *ignored}) != len(labelled) + len(ignored):
            raise ValueError(f"values={[*labelled]} and ignore={ignore} name a value twice")
        self.image, self.mask = image, mask
        self.classes, self.values, self.ignore = classes, values, ignored

    def find_splits(self) -> UsedSplits:
        """The splits that are used, with a column of images and one of masks."""
        from tasks.data.masks.trees import mask_rows
        from tasks.data.used_splits import find_splits

        return find_splits(self.path, self.name, self.split_names, mask_rows)

    def load(self) -> MaskSet:
        """Reads the images and their masks."""
        from tasks.data.columns import find_pair
        from tasks.data.decode import decode
        from tasks.data.encoded_images import EncodedImages
        from tasks.data.masks.values import ImageMaskPairs, as_classes, pair_pixels, parted
        from tasks.data.rows import refuse_repeats

        used, where = self.find_splits(), shown(self.path)
        splits = used.splits
        image, mask = find_pair(splits[used.parts["train"]], self.image, self.mask, where)
        refuse_repeats(used.files(image), where)
        pairs = ImageMaskPairs(EncodedImages(splits, image), EncodedImages(splits, mask))
        decoded = decode(pairs, self.mode, self.size, self.on_bad, where, pair_pixels)
        images, values = parted(decoded.images)
        said = self.classes, self.values, self.ignore
        masks, classes = as_classes(values, lambda number: decoded[number].name, *said, where)
        strata = torch.zeros(len(images), dtype=torch.long)  # shares know no classes
        data = self.dataset(MaskSet, images, masks, strata, classes, decoded, used)
        data.shorter = None if self.size is None else min(images.shape[2:])
        return data
