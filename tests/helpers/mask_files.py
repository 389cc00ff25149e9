"""Folders of images with masks in the Hub's layout, which tests write."""

import numpy as np
from image_files import IMAGE, encoded, photo, write_parquet
from PIL import Image

BOTH = {"image": IMAGE, "mask": IMAGE}


def labels(seed=0, size=(6, 4), values=(0, 1, 2)):
    """An image of mode L whose pixels are all of the values."""
    rng = np.random.default_rng(seed)
    drawn = rng.choice(np.array(values, np.uint8), size[::-1])
    drawn.flat[: len(values)] = values
    return Image.fromarray(drawn)


def cell(image, number=0, kind="PNG"):
    return {"bytes": encoded(image, kind), "path": f"{number}.png"}


def write_masks(folder, count=10, split="train", masks=None, **given):
    """Photographs with masks; `masks` are images in the place of drawn ones."""
    masks = masks or [labels(i, **given) for i in range(count)]
    images = [cell(photo(i, mask.size), i) for i, mask in enumerate(masks)]
    cells = [cell(mask, i) for i, mask in enumerate(masks)]
    write_parquet(folder, split, BOTH, image=images, mask=cells)
