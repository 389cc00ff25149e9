"""Segmentation data sets with known classes: CamVid and the Oxford-IIIT pets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Len

from tasks.data.images import Batch, OnBad, Seed, Share
from tasks.data.masks import Masks, Side
from zoo.errors import DataError

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
        own = border == "class"
        super().__init__(
            path,
            val=val,
            seed=seed,
            classes=["background", "pet", "border"][: 2 + own],
            values=[2, 1, 3][: 2 + own],
            ignore=[] if own else [3],
            size=size,
            on_bad=on_bad,
            batch_size=batch_size,
        )

    def splits(self) -> dict[str, Any]:
        folder = Path(self.path).expanduser() / "annotations"
        found = {}
        for split, name in {"train": "trainval", "test": "test"}.items():
            try:
                lines = (folder / f"{name}.txt").read_text(encoding="utf-8").splitlines()
            except (OSError, UnicodeDecodeError) as error:
                what = f"annotations/{name}.txt cannot be read ({type(error).__name__})"
                raise DataError(what, self.path, f"unpack both archives of {PETS}") from None
            found[split] = [line.split()[0] for line in lines if line.strip()]
        return found

    def pairs(self, used: dict[str, Any], train: str) -> Iterator[Any]:
        from tasks.data.decode import Encoded
        from tasks.data.mask_values import Pair

        folder = Path(self.path).expanduser()
        for split, names in used.items():
            for number, name in enumerate(names):
                image, mask = (
                    {"bytes": None, "path": str(folder / place)}
                    for place in (f"images/{name}.jpg", f"annotations/trimaps/{name}.png")
                )
                yield Pair(image, split, number, Encoded(mask, split, number))
