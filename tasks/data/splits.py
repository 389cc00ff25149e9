"""Which splits of a data set are for training, validation and test."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence, Sized
from collections.abc import Mapping as Map

from tasks.data.folders import Folder, counted, is_image, listed, shown
from zoo.errors import ConfigError, DataError, suggest

WORDS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
Given = tuple[str | None, str | None, str | None]  # names of the splits that a user gives


def part_of(name: str) -> str | None:
    """The part that a split of this name is for; None for every other name.

    >>> part_of("Dev"), part_of("training"), part_of("lab-test")
    ('val', 'train', None)
    """
    return next((part for part, words in WORDS.items() if name.lower() in words), None)


def has_word(name: str) -> bool:
    """Whether a word for a part is among those of a name.

    >>> has_word("lab-test"), has_word("latest"), has_word("Train_2")
    (True, False, True)
    """
    return any(map(part_of, re.findall("[a-z]+", name.lower())))


def same_name(name: str, names: Iterable[str]) -> str | None:
    """The one of some names that is meant: the same, or the only one but for small letters."""
    alike = [other for other in names if other.lower() == name.lower()]
    return name if name in alike else alike[0] if len(alike) == 1 else None


def split_folders(tree: Folder, given: Given, where: str) -> dict[str, Folder]:
    """The split folders at the top of a tree; the tree itself as `train` where there are none.

    Args:
        tree: the data's folder.
        given: names that the user gives; folders of these names are splits, too.
        where: for messages.

    Errors:
        DataError: something else lies beside split folders.
    """
    named = {same_name(name, tree.folders) for name in given if name is not None}
    splits = {n: folder for n, folder in tree.folders.items() if part_of(n) or n in named}
    if not splits:
        return {"train": tree}
    beside = [f"{name}/" for name in tree.folders if name not in splits]
    beside += [file.name for file in tree.files if is_image(file)]
    if beside:
        what = f"{listed(beside)} beside the split folder{'s' * (len(splits) > 1)} {listed(splits)}"
        keys = "data.train_split, data.val_split or data.test_split"
        fix = f"move it into a split folder or away, or name it by {keys}"
        raise DataError(what, where, f"{fix}; classes of such names go below one folder train")
    return splits


def find_parts(
    splits: Iterable[str], train: str | None, val: str | None, test: str | None, where: str
) -> dict[str, str]:
    """The splits of `train`, `val` and `test`; a part that takes a share of `train` is left out.

    Args:
        splits: the names of all in the data set.
        train: given by the user, like `val` and `test`; None: found by `WORDS`, or the only split.
        where: for messages.

    Errors:
        ConfigError: a given split is not there, none can be for training, or one has two parts.
        DataError: two splits are for one part.
    """
    splits = list(splits)
    given = {"train": train, "val": val, "test": test}
    for part, name in given.items():
        if name is not None:
            given[part] = same_name(name, splits)
            if given[part] is None:
                raise ConfigError(f"no split {name!r}", f"data.{part}_split", suggest(name, splits))
    for part, name in given.items():
        taken = given.values() if part != "train" else ()  # another part may be a share of it
        free = [n for n in splits if part_of(n) == part and n not in taken]
        if name is None and len(free) > 1:
            what = f"{listed(free)} are both the {part} split"
            raise DataError(what, where, f"give data.{part}_split={'|'.join(map(shown, free))}")
        if name is None and free:
            given[part] = free[0]
    if given["train"] is None and len(splits) == 1 and not part_of(splits[0]):
        given["train"] = splits[0]
    if given["train"] is None:
        what = f"no split train, only {listed(splits)}"
        raise ConfigError(what, where, f"give data.train_split={'|'.join(map(shown, splits))}")
    parts = {part: name for part, name in given.items() if name is not None}
    parts = {k: name for k, name in parts.items() if k == "train" or name != parts["train"]}
    if "val" in parts and parts["val"] == parts.get("test"):
        both = f"val_split and test_split are both {parts['val']!r}"
        raise ConfigError(both, where, "name two splits, or leave one to a share")
    return parts


def unused_splits(splits: Map[str, Sized | Folder], parts: Map[str, str]) -> Iterator[str]:
    """A note on every split that no part takes."""
    for name, split in splits.items():
        if name not in parts.values():
            size = len(split.images()) if isinstance(split, Folder) else len(split)
            what = counted(size, "image" if isinstance(split, Folder) else "row")
            yield f"the split {shown(name)} is not used ({what})"


def class_like_splits(names: Sequence[str]) -> Iterator[str]:
    """A note where names of classes hold a word for splits: they are classes all the same."""
    alike = [name for name in names if has_word(name)]
    if alike:
        verb = "is a class" if len(alike) == 1 else "are classes"
        yield f"{listed(alike)} {verb}, not a split: those are folders called {', '.join(WORDS)}"
