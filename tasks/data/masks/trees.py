"""Images with masks as files: `images/` and `masks/`, or named by `metadata.csv`."""

from __future__ import annotations

import os
from collections.abc import Mapping

from tasks.data.folders import File, Folder, counted, is_image, listed, shown
from tasks.data.metadata import metadata_rows
from tasks.data.rows import Rows
from tasks.data.splits import part_of, same_name
from zoo.errors import DataError

LAYOUT = (
    "put images and masks of the same names into images/ and masks/, at the top or in each split "
    "folder, or add a metadata.csv with file_name and mask_file_name"
)
NAMES = ("images", "masks")


def mask_rows(tree: Folder, used: Mapping[str, Folder], where: str) -> dict[str, Rows]:
    """The images of each split with their masks.

    Args:
        tree: the data's folder.
        used: the folders of the splits; the whole tree where there are no split folders.
        where: for messages.

    Errors:
        DataError: an image has no mask or two, or the other way round.
    """
    rows = metadata_rows(tree, used, where)
    if rows is not None:
        return rows
    from datasets import Image

    paired = {split: pairs(folder, where) for split, folder in used.items()}
    kinds = {"image": Image(), "mask": Image()}
    return {
        split: Rows({"image": [i for i, _ in both], "mask": [m for _, m in both]}, kinds)
        for split, both in paired.items()
    }


def pairs(top: Folder, where: str) -> list[tuple[File, File]]:
    """The files of `images/` with those of `masks/` of the same path, but for its ending."""
    place = shown(top.place) or "the folder"
    names = {name: same_name(name, top.folders) for name in NAMES}
    missing = [name for name, own in names.items() if own is None]
    if missing:
        raise DataError(f"{place} has no {' and no '.join(missing)}", where, LAYOUT)
    both = [top.folders[own] for own in names.values() if own is not None]
    for folder in both:
        inner = [f.place for n, f in folder.folders.items() if part_of(n)]
        if inner:
            what = f"split folders are not at the top: {listed(inner)}"
            name = os.path.basename(inner[0])
            fix = f"move them, so that there are {name}/images and {name}/masks"
            raise DataError(what, where, shown(fix))
    others = [f for f in top.files if is_image(f)]
    others += [f for n, own in top.folders.items() if n not in names.values() for f in own.images()]
    if others:
        places = listed(file.place for file in others)
        what = f"{counted(len(others), 'image')} outside images/ and masks/: {places}"
        raise DataError(what, where, "move them into images/ with their masks, or away")
    images, masks = (stems(folder, where) for folder in both)
    alone = [images[stem].place for stem in images if stem not in masks]
    alone += [masks[stem].place for stem in masks if stem not in images]
    if alone:
        what = f"{counted(len(alone), 'file')} of {place} without image or mask: {listed(alone)}"
        raise DataError(what, where, "give an image and its mask the same name")
    if not images:
        raise DataError(f"no images in {place}", where, LAYOUT)
    return [(images[stem], masks[stem]) for stem in images]


def stems(folder: Folder, where: str) -> dict[str, File]:
    """The images of a folder by their paths inside it without endings; DataError for two of one."""
    by_stem: dict[str, File] = {}
    twice = []
    for file in folder.images():
        stem = os.path.splitext(file.place[len(folder.place) + 1 :])[0]
        twice += [file.place] if stem in by_stem else []
        by_stem[stem] = file
    if twice:
        what = f"{counted(len(twice), 'file')} like others but for the ending: {listed(twice)}"
        raise DataError(what, where, "leave one of each")
    return by_stem
