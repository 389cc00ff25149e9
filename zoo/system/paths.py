"""Paths of a user: below `~`, and in the folders for configuration, caches and data."""

from __future__ import annotations

import os

from zoo.errors import ConfigError

USUAL = {
    "home": ("HOME", "~"),
    "config": ("XDG_CONFIG_HOME", "~/.config"),
    "cache": ("XDG_CACHE_HOME", "~/.cache"),
    "data": ("XDG_DATA_HOME", "~/.local/share"),
}  # the variable that names a folder, and its path without one


def expanded(path: str, where: str) -> str:
    """A path in which the home folder replaces `~`.

    Args:
        path: as a user wrote it.
        where: the option, for messages.

    Errors:
        ConfigError: it is empty, or begins with a home folder that is not known.
    """
    if not path:
        raise ConfigError("the path is empty", where, "write a path, or leave it out")
    whole = os.path.expanduser(path)
    if whole.startswith("~") and not os.path.exists(whole):
        fix = f"write the whole path, or ./{path} for a name that begins so"
        raise ConfigError(f"{path.partition('/')[0]} is no known home folder", where, fix)
    return whole


def user_folder(kind: str, *names: str) -> str | None:
    """A path in one of the user's `USUAL` folders; None where the home folder is unknown.

    Args:
        kind: a key of `USUAL`.
        names: of the folders below it.
    """
    variable, usual = USUAL[kind]
    path = os.path.expanduser(os.path.join(os.environ.get(variable) or usual, *names))
    return None if path.startswith("~") else path
