"""Which splits of a data set are for training, validation and test, by their names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence, Sized
from collections.abc import Mapping as Map

from tasks.data.folders import Folder, is_image
from tasks.data.phrases import counted, listed, shown
from zoo.errors import ConfigError, DataError, suggest

PARTS = ("train", "val", "test")
WORDS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
SplitNames = tuple[str | None, str | None, str | None]  # for train, val, test, as a user gives


def part_of(name: str) -> str | None:
    """The part that a name stands for, or None.

    >>> part_of("Dev"), part_of("training"), part_of("lab-test")
    ('val', 'train', None)
    """
    return next((part for part, words in WORDS.items() if name.lower() in words), None)


def has_word(name: str) -> bool:
    """Whether one of the words in a name stands for a part.

    >>> has_word("lab-test"), has_word("latest"), has_word("Train_2")
    (True, False, True)
    """
    return any(map(part_of, re.findall("[a-z]+", name.lower())))


def same_name(name: str, names: Iterable[str]) -> str | None:
    """The name itself if it is among the names, or else the only one that differs in case alone."""
    alike = [other for other in names if other.lower() == name.lower()]
    return name if name in alike else alike[0] if len(alike) == 1 else None


def split_folders(tree: Folder, split_names: SplitNames, where: str) -> dict[str, Folder]:
    """The split folders at the top of a tree; the tree itself as `train` where there are none.

    Args:
        tree: the data's folder.
        split_names: those that the user names; folders of these names are splits, too.
        where: for messages.

    Errors:
        DataError: something else lies beside split folders.
    """
    named = {same_name(name, tree.folders) for name in split_names if name is not None}
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
    """The split of each part; a part that takes a share of the training split is left out.

    Args:
        splits: the names of all splits.
        train: the split that the user names for training; None: the one whose name says so, or the
            only one. Likewise `val` and `test`, which need none.
        where: for messages.

    Errors:
        ConfigError: a named split does not exist, none is for training, or one is for two parts.
        DataError: two splits are for one part.
    """
    splits = list(splits)
    split_of = {"train": train, "val": val, "test": test}
    for part, name in split_of.items():
        if name is not None:
            split_of[part] = same_name(name, splits)
            if split_of[part] is None:
                raise ConfigError(f"no split {name!r}", f"data.{part}_split", suggest(name, splits))
    for part, name in split_of.items():
        taken = split_of.values() if part != "train" else ()  # another part may be a share of it
        free = [n for n in splits if part_of(n) == part and n not in taken]
        if name is None and len(free) > 1:
            what = f"{listed(free)} are both the {part} split"
            raise DataError(what, where, f"give data.{part}_split={'|'.join(map(shown, free))}")
        if name is None and free:
            split_of[part] = free[0]
    if split_of["train"] is None and len(splits) == 1 and not part_of(splits[0]):
        split_of["train"] = splits[0]
    if split_of["train"] is None:
        what = f"no split train, only {listed(splits)}"
        raise ConfigError(what, where, f"give data.train_split={'|'.join(map(shown, splits))}")
    parts = {part: name for part, name in split_of.items() if name is not None}
    parts = {k: name for k, name in parts.items() if k == "train" or name != parts["train"]}
    if "val" in parts and parts["val"] == parts.get("test"):
        both = f"val_split and test_split are both {parts['val']!r}"
        raise ConfigError(both, where, "name two splits, or leave one to a share")
    return parts


def unused_splits(splits: Map[str, Sized | Folder], parts: Map[str, str]) -> Iterator[str]:
    """A note for every split that no part takes."""
    for name, split in splits.items():
        if name not in parts.values():
            size = len(split.images()) if isinstance(split, Folder) else len(split)
            what = counted(size, "image" if isinstance(split, Folder) else "row")
            yield f"the split {shown(name)} is not used ({what})"


def class_like_splits(names: Sequence[str]) -> Iterator[str]:
    """A note where the name of a class has a word for a part in it: it is a class all the same."""
    alike = [name for name in names if has_word(name)]
    if alike:
        verb = "is a class" if len(alike) == 1 else "are classes"
        yield f"{listed(alike)} {verb}, not a split: those are folders called {', '.join(WORDS)}"
