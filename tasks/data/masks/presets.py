"""Segmentation data sets with known classes: CamVid and the Oxford-IIIT pets."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Len

from tasks.data.folders import File, folder_at
from tasks.data.image_source import OnBad
from tasks.data.masks.sources import Masks, Side
from tasks.data.shares import Seed, Share
from zoo.config.sizes import Batch
from zoo.errors import DataError

if TYPE_CHECKING:
    from tasks.data.used_splits import UsedSplits

STREET = "sky building pole road pavement tree sign fence car pedestrian bicyclist"
PETS = "https://www.robots.ox.ac.uk/~vgg/data/pets/"


class CamVid(Masks):
    """Streets seen from a car: 11 classes; 367 images for training, 101 and 233 for the others.

    Source: Brostow et al. 2009, https://doi.org/10.1016/j.patrec.2008.04.005; classes and split of
        Badrinarayanan et al. 2015, arXiv:1511.00561.

    Args:
        path: folder or id of the Hub with columns `image` and `mask`; masks hold 0 to 10, and 11
            where there is no class.
        size: of both sides, or [height, width]; None: as the images are.
        on_bad: at an image that cannot be read, stop with an error, or skip and count it.
        batch_size: images of a training batch over all processes.
    """

    def __init__(
        self,
        path: str | None = None,
        size: Side | Annotated[list[Side], Len(2, 2)] | None = None,
        on_bad: OnBad = "error",
        batch_size: Batch = 8,
    ):
        if path is None:
            raise ValueError("data=camvid needs data.path=FOLDER with columns image and mask")
        super().__init__(
            path,
            image="image",
            mask="mask",
            classes=STREET.split(),
            ignore=[11],
            size=size,
            on_bad=on_bad,
            batch_size=batch_size,
        )


class Pet(Masks):
    """Cats and dogs: 3680 images for training and validation and 3669 for the test.

    Source: Parkhi et al. 2012, https://doi.org/10.1109/CVPR.2012.6248092

    Args:
        path: folder with `images` and `annotations`, the two unpacked archives of the authors.
        border: the pixels around a pet are a `class` of their own, or have none (`ignore`).
        val: share of the 3680 images that is for validation.
        seed: of its choice.
        size: of both sides, or [height, width].
        on_bad: at an image that cannot be read, stop with an error, or skip and count it.
        batch_size: images of a training batch over all processes.
    """

    def __init__(
        self,
        path: str | None = None,
        border: Literal["class", "ignore"] = "class",
        val: Share = 0.1,
        seed: Seed = 0,
        size: Side | Annotated[list[Side], Len(2, 2)] = 128,
        on_bad: OnBad = "error",
        batch_size: Batch = 16,
    ):
        if path is None:
            raise ValueError(f"data=pet needs data.path=FOLDER with both archives of {PETS}")
        has_border = border == "class"
        super().__init__(
            path,
            val=val,
            seed=seed,
            classes=["background", "pet", "border"][: 2 + has_border],
            values=[2, 1, 3][: 2 + has_border],
            ignore=[] if has_border else [3],
            size=size,
            on_bad=on_bad,
            batch_size=batch_size,
        )

    def find_splits(self) -> UsedSplits:
        """The images and masks of both lists of the authors."""
        from datasets import Image

        from tasks.data.rows import Rows
        from tasks.data.used_splits import UsedSplits

        root = folder_at(self.path)
        rows: dict[str, Any] = {}
        for split, name in {"train": "trainval", "test": "test"}.items():
            try:
                text = (root / "annotations" / f"{name}.txt").read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                what = f"annotations/{name}.txt cannot be read ({type(error).__name__})"
                raise DataError(what, self.path, f"unpack both archives of {PETS}") from None
            names = [line.split()[0] for line in text.splitlines() if line.strip()]
            paths = {
                "image": [f"images/{name}.jpg" for name in names],
                "mask": [f"annotations/trimaps/{name}.png" for name in names],
            }
            files = {key: [file_in(root, path) for path in some] for key, some in paths.items()}
            rows[split] = Rows(files, {"image": Image(), "mask": Image()})
        return UsedSplits(rows, {"train": "train", "test": "test"})


def file_in(root: Path, relative: str) -> File:
    """The file of a path inside a folder, whether it exists or not."""
    return File(str(root / relative), relative, os.path.realpath(root / relative))
