"""Images with a class each as files: `SPLIT/CLASS/IMAGE`, or named by `metadata.csv`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tasks.data.folders import Folder, is_image
from tasks.data.metadata_tables import metadata_rows
from tasks.data.phrases import counted, listed, shown
from tasks.data.rows import Rows
from tasks.data.splits import class_like_splits, part_of
from zoo.errors import DataError

CLASSES = "one folder for each class, or a metadata.csv with file_name and label"


def class_rows(tree: Folder, used: Mapping[str, Folder], where: str) -> dict[str, Rows]:
    """The rows of each split, an image and its class each.

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

    rows_of: dict[str, Rows] = {}
    classes = {n for top in used.values() for n, f in top.folders.items() if f.images()}
    names = sorted(classes)
    number = {name: index for index, name in enumerate(names)}
    features = {"image": Image(), "label": ClassLabel(names=[shown(name) for name in names])}
    for split, top in used.items():
        loose = [file.relative for file in top.files if is_image(file)]
        if loose:
            beside = " beside class folders" if any(n in classes for n in top.folders) else ""
            what = f"{counted(len(loose), 'image')} without a class{beside}: {listed(loose)}"
            part, first = part_of(split), shown(next(iter(used)))
            other = f"; or leave it out by data.{part}_split={first}"
            raise DataError(what, where, CLASSES + other * (part in ("val", "test")))
        if top.relative == "":
            refuse_inner_splits(top, where)
        pairs = [
            (file, number[n])
            for n in top.folders
            if n in number
            for file in top.folders[n].images()
        ]
        if not pairs:
            raise DataError(f"no images in {shown(top.relative) or 'it'}", where, CLASSES)
        pairs.sort(key=lambda pair: pair[0].relative)
        files, labels = zip(*pairs, strict=True)
        rows_of[split] = Rows({"image": [*files], "label": [*labels]}, features)
    return rows_of


def refuse_inner_splits(tree: Folder, where: str) -> None:
    """Raises DataError where class folders hold split folders, as in `CLASS/SPLIT/IMAGE`."""
    for name, folder in tree.folders.items():
        splits = [inner for inner, f in folder.folders.items() if part_of(inner) and f.images()]
        if len({part_of(inner) for inner in splits}) > 1:
            what = f"split folders are not at the top: {listed(f'{name}/{s}' for s in splits)}"
            fix = f"give data.path={where}/{name}" if len(tree.folders) == 1 else "use SPLIT/CLASS"
            raise DataError(what, where, shown(fix))


def class_notes(tree: Folder, used: Mapping[str, Folder]) -> Iterator[str]:
    """Notes on class folders without images, and on those whose names are like those of splits."""
    empty = [f.relative for top in used.values() for f in top.folders.values() if not f.images()]
    if empty:
        yield f"no images in {listed(f'{path}/' for path in empty)}"
    if tree in used.values():
        yield from class_like_splits([n for n, f in tree.folders.items() if f.images()])
