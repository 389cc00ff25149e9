"""Images with a class each as files: `SPLIT/CLASS/IMAGE`, or named by `metadata.csv`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tasks.data.folders import Folder, counted, is_image, listed, shown
from tasks.data.metadata import metadata_rows
from tasks.data.rows import Rows
from tasks.data.splits import class_like_splits, part_of
from zoo.errors import DataError

CLASSES = "one folder for each class, or a metadata.csv with file_name and label"


def class_rows(tree: Folder, used: Mapping[str, Folder], where: str) -> dict[str, Rows]:
    """The images of each split with their classes.

    The class of an image is the first folder below its split; folders inside that one make no
    difference.

    Args:
        tree: the data's folder.
        used: the folders of the splits; the whole tree where there are no split folders.
        where: for messages.

    Errors:
        DataError: an image has no class, or a split has no images.
    """
    rows = metadata_rows(tree, used, where)
    if rows is not None:
        return rows
    from datasets import ClassLabel, Image

    found: dict[str, Rows] = {}
    classes = {n for top in used.values() for n, f in top.folders.items() if f.images()}
    names = sorted(classes)
    number = {name: index for index, name in enumerate(names)}
    features = {"image": Image(), "label": ClassLabel(names=[shown(name) for name in names])}
    for split, top in used.items():
        loose = [file.place for file in top.files if is_image(file)]
        if loose:
            beside = " beside class folders" if any(n in classes for n in top.folders) else ""
            what = f"{counted(len(loose), 'image')} without a class{beside}: {listed(loose)}"
            part, first = part_of(split), shown(next(iter(used)))
            other = f"; or leave it out by data.{part}_split={first}"
            raise DataError(what, where, CLASSES + other * (part in ("val", "test")))
        if top.place == "":
            refuse_inner_splits(top, where)
        pairs = [
            (file, number[n])
            for n in top.folders
            if n in number
            for file in top.folders[n].images()
        ]
        if not pairs:
            raise DataError(f"no images in {shown(top.place) or 'it'}", where, CLASSES)
        pairs.sort(key=lambda pair: pair[0].place)
        files, labels = zip(*pairs, strict=True)
        found[split] = Rows({"image": [*files], "label": [*labels]}, features)
    return found


def refuse_inner_splits(tree: Folder, where: str) -> None:
    """DataError where class folders hold split folders, as in `CLASS/SPLIT/IMAGE`."""
    for name, folder in tree.folders.items():
        splits = [inner for inner, f in folder.folders.items() if part_of(inner) and f.images()]
        if len({part_of(inner) for inner in splits}) > 1:
            what = f"split folders are not at the top: {listed(f'{name}/{s}' for s in splits)}"
            fix = f"give data.path={where}/{name}" if len(tree.folders) == 1 else "use SPLIT/CLASS"
            raise DataError(what, where, shown(fix))


def class_notes(tree: Folder, used: Mapping[str, Folder]) -> Iterator[str]:
    """Notes on class folders: those without images, and those whose names are like splits."""
    empty = [f.place for top in used.values() for f in top.folders.values() if not f.images()]
    if empty:
        yield f"no images in {listed(f'{place}/' for place in empty)}"
    if tree in used.values():
        yield from class_like_splits([n for n, f in tree.folders.items() if f.images()])
