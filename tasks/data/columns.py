"""The columns of a data set: which holds the images, masks, classes or texts, and what they say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Union

import torch
from torch import Tensor

from tasks.data.rows import Rows
from zoo.errors import ConfigError, DataError, suggest

if TYPE_CHECKING:
    from datasets import Dataset

Split = Union[Rows, "Dataset"]
Names = tuple[str, ...]
MASKS = "mask masks label labels annotation annotations segmentation segmentation_mask trimap"


def find_image(dataset: Split, name: str | None, where: str) -> str:
    """The name of the column of the images.

    It is of type Image, or else holds encoded bytes, or pairs of bytes and path.

    Args:
        dataset: one split.
        name: of the column, as the user gives it; None: the only one that fits.
        where: for messages.

    Errors:
        ConfigError: there is no column of this name, it holds no images, or several fit.
        DataError: no column fits.
    """
    fits = image_columns(dataset)
    column = find_column(list(dataset.features), name, fits, "image", where)
    return require_image_column(column, dataset, "image")


def find_pair(dataset: Split, image: str | None, mask: str | None, where: str) -> tuple[str, str]:
    """The names of the columns of the images and of their masks; errors as of `find_image`.

    Args:
        dataset: one split.
        image: name that the user gives; None: the only other column of images, or `image`.
        mask: likewise; None: the only column of images with a usual name of masks.
        where: for messages.
    """
    fits, names = image_columns(dataset), list(dataset.features)
    likely = [name for name in fits if name.lower() in MASKS.split() and name != image]
    mask = find_column(names, mask, likely, "mask", where)
    others = [name for name in fits if name != mask]
    others = ["image"] if "image" in others else others
    image = find_column(names, image, others, "image", where)
    return require_image_column(image, dataset, "image"), require_image_column(
        mask, dataset, "mask"
    )


def image_columns(dataset: Split) -> list[str]:
    """The names of the columns of type Image, or else of those that hold encoded bytes."""
    from datasets import Image, Value

    features = dataset.features
    typed = [name for name, feature in features.items() if isinstance(feature, Image)]
    return typed or [
        name
        for name, feature in features.items()
        if (isinstance(feature, dict) and "bytes" in feature)
        or (isinstance(feature, Value) and feature.dtype in ("binary", "large_binary"))
    ]


def require_image_column(column: str, dataset: Split, key: str) -> str:
    """Returns the name of a column; raises ConfigError where it holds no images."""
    from datasets import Image

    if isinstance(dataset.features[column], Image) or column in image_columns(dataset):
        return column
    raise ConfigError(f"column {column!r} holds no images", f"data.{key}", "name another")


def find_label(dataset: Split, name: str | None, where: str) -> str:
    """The name of the column of the classes; arguments and errors as of `find_image`."""
    from datasets import ClassLabel, Value

    features = dataset.features
    fits = [key for key, feature in features.items() if isinstance(feature, ClassLabel)]
    fits = fits or [key for key in features if key == "label"]
    column = find_column(list(features), name, fits, "label", where)
    feature = features[column]
    kinds = ("int", "uint", "bool", "string", "large_string")
    plain = isinstance(feature, Value) and feature.dtype.startswith(kinds)
    if not (plain or isinstance(feature, ClassLabel)):
        raise ConfigError(f"column {column!r} holds no classes", "data.label", "name another")
    return column


def find_column(columns: list[str], name: str | None, fits: list[str], key: str, where: str) -> str:
    """The name that the user gives, or the only one that fits; errors as of `find_image`.

    Args:
        columns: the names of all.
        name: that the user gives, or None.
        fits: the names of those that could be meant.
        key: the option `data.KEY` that names the column.
        where: for messages.
    """
    if name is not None and name not in columns:
        raise ConfigError(f"no {key} column {name!r}", where, suggest(name, columns))
    if name is not None:
        return name
    if len(fits) > 1:
        several = f"several columns could be the {key}: {', '.join(fits)}"
        raise ConfigError(several, where, f"give data.{key}=COLUMN")
    if not fits:
        what = f"no column is the {key}; there are {', '.join(columns)}"
        folders = "" if key in ("mask", "text") else ", or one folder for each class"
        raise DataError(what, where, f"give data.{key}=COLUMN{folders}")
    return fits[0]


def read_labels(
    splits: Mapping[str, Split], column: str, where: str
) -> tuple[dict[str, Tensor], Names]:
    """The labels `[n]` long of each split, from 0, and the names of the classes.

    Where the column has no names of its own, its values are the classes, in sorted order.

    Errors:
        DataError: an image has no label.
    """
    from datasets import ClassLabel

    values = {split: data[column][:] for split, data in splits.items()}
    feature = next(iter(splits.values())).features[column]
    named = isinstance(feature, ClassLabel)
    for split, some in values.items():
        lost = sum(value is None or (named and value < 0) for value in some)
        if lost:
            what = f"{lost} of {len(some)} images of split {split} have no label"
            raise DataError(what, where, f"label them, or use another split than {split}")
    if named:
        names = tuple(feature.names)
        return {split: torch.tensor(some).long() for split, some in values.items()}, names
    classes = sorted({value for some in values.values() for value in some})
    number = {value: index for index, value in enumerate(classes)}
    labels = {s: torch.tensor([number[v] for v in some]).long() for s, some in values.items()}
    return labels, tuple(str(value) for value in classes)
