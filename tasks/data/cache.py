"""The folder of the user where downloads and converted data lie."""

from __future__ import annotations

import os
from pathlib import Path

from zoo.errors import ResourceError, as_zoo_error
from zoo.system.paths import user_folder

FIX = "set XDG_CACHE_HOME to a folder where you may write"


def cache_folder(*names: str) -> Path:
    """The path of a cache folder; ResourceError where there is no home folder."""
    path = user_folder("cache", "residual-zoo", *names)
    if path is None:
        raise ResourceError("there is no home folder to keep data in", "~/.cache", FIX)
    return Path(path)


def writable(folder: Path) -> Path:
    """The folder, made if need be; ResourceError where nothing can be written into it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(None, "no right to write")
    except OSError as error:
        known = as_zoo_error(error)
        if known is not error:
            raise known from None
        what = f"the cache folder cannot be made ({error.strerror})"
        raise ResourceError(what, str(folder), FIX) from None
    return folder
