"""Your own images with a class each, or any data set of the Hub that has both."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from annotated_types import Ge, Gt, Le

from tasks.data.image_source import ImageSource, OnBad
from tasks.data.images.dataset import ImageSet
from tasks.data.phrases import shown
from tasks.data.shares import TEST, VAL, Seed, Share
from zoo.config.sizes import Batch, Width


class Images(ImageSource):
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
    memory, or in a file of the cache where these are 256 MiB or more. Shares are stratified by
    class.

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
        split_names = (train_split, val_split, test_split)
        images = (size, mode, on_bad, mean, std, batch_size)
        super().__init__(path, name, split_names, val, test, seed, *images)
        self.image, self.label = image, label

    def load(self) -> ImageSet:
        """Reads the images and the class of each."""
        from tasks.data.columns import find_image, find_label, read_labels
        from tasks.data.decode import decode
        from tasks.data.encoded_images import EncodedImages
        from tasks.data.images.trees import class_notes, class_rows
        from tasks.data.rows import refuse_repeats
        from tasks.data.used_splits import find_splits

        used = find_splits(self.path, self.name, self.split_names, class_rows, class_notes)
        splits, where = used.splits, shown(self.path)
        image = find_image(splits[used.parts["train"]], self.image, where)
        label = find_label(splits[used.parts["train"]], self.label, where)
        refuse_repeats(used.files(image), where)
        labels_of, classes = read_labels(splits, label, where)
        labels = torch.cat([*labels_of.values()])
        source = EncodedImages(splits, image)
        decoded = decode(source, self.mode, self.size, self.on_bad, where)
        labels = labels[decoded.readable]
        return self.dataset(ImageSet, decoded.images, labels, labels, classes, decoded, used)
