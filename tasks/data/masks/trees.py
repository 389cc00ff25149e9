"""Images with masks as files: `images/` and `masks/`, or named by `metadata.csv`."""

from __future__ import annotations

import os
from collections.abc import Mapping

from tasks.data.folders import File, Folder, is_image
from tasks.data.metadata_tables import metadata_rows
from tasks.data.phrases import counted, listed, shown
from tasks.data.rows import Rows
from tasks.data.splits import part_of, same_name
from zoo.errors import DataError

LAYOUT = (
    "put images and masks of the same names into images/ and masks/, at the top or in each split "
    "folder, or add a metadata.csv with file_name and mask_file_name"
)
NAMES = ("images", "masks")


def mask_rows(tree: Folder, used: Mapping[str, Folder], where: str) -> dict[str, Rows]:
    """The rows of each split, an image and its mask each.

    Args:
        tree: the data's folder.
        used: the folders of the splits; the whole tree where there are no split folders.
        where: for messages.

    Errors:
        DataError: an image or mask has no partner, or two.
    """
    rows = metadata_rows(tree, used, where)
    if rows is not None:
        return rows
    from datasets import Image

    paired = {split: image_mask_pairs(folder, where) for split, folder in used.items()}
    kinds = {"image": Image(), "mask": Image()}
    return {
        split: Rows({"image": [i for i, _ in both], "mask": [m for _, m in both]}, kinds)
        for split, both in paired.items()
    }


def image_mask_pairs(top: Folder, where: str) -> list[tuple[File, File]]:
    """The files of `images/`, each with that of `masks/` whose path differs in the ending alone."""
    title = shown(top.relative) or "the folder"
    names = {name: same_name(name, top.folders) for name in NAMES}
    missing = [name for name, actual in names.items() if actual is None]
    if missing:
        raise DataError(f"{title} has no {' and no '.join(missing)}", where, LAYOUT)
    both = [top.folders[actual] for actual in names.values() if actual is not None]
    for folder in both:
        inner = [f.relative for n, f in folder.folders.items() if part_of(n)]
        if inner:
            what = f"split folders are not at the top: {listed(inner)}"
            name = os.path.basename(inner[0])
            fix = f"move them, so that there are {name}/images and {name}/masks"
            raise DataError(what, where, shown(fix))
    others = [f for f in top.files if is_image(f)]
    strange = [folder for name, folder in top.folders.items() if name not in names.values()]
    others += [file for folder in strange for file in folder.images()]
    if others:
        paths = listed(file.relative for file in others)
        what = f"{counted(len(others), 'image')} outside images/ and masks/: {paths}"
        raise DataError(what, where, "move them into images/ with their masks, or away")
    images, masks = (stems(folder, where) for folder in both)
    alone = [images[stem].relative for stem in images if stem not in masks]
    alone += [masks[stem].relative for stem in masks if stem not in images]
    if alone:
        what = f"{counted(len(alone), 'file')} of {title} without image or mask: {listed(alone)}"
        raise DataError(what, where, "give an image and its mask the same name")
    if not images:
        raise DataError(f"no images in {title}", where, LAYOUT)
    return [(images[stem], masks[stem]) for stem in images]


def stems(folder: Folder, where: str) -> dict[str, File]:
    """The images of a folder by their paths inside it without endings.

    Errors:
        DataError: two paths differ in the ending alone.
    """
    by_stem: dict[str, File] = {}
    twice = []
    for file in folder.images():
        stem = os.path.splitext(file.relative[len(folder.relative) + 1 :])[0]
        twice += [file.relative] if stem in by_stem else []
        by_stem[stem] = file
    if twice:
        what = f"{counted(len(twice), 'file')} like others but for the ending: {listed(twice)}"
        raise DataError(what, where, "leave one of each")
    return by_stem
