"""Where downloads lie."""

from __future__ import annotations

import os
from pathlib import Path

from zoo.errors import ResourceError, as_zoo_error
from zoo.system.paths import user_folder

FIX = "set XDG_CACHE_HOME to a folder where you may write"


def cache_folder(*parts: str) -> Path:
    """Where downloaded data is kept; ResourceError where there is no home folder."""
    place = user_folder("cache", "residual-zoo", *parts)
    if place is None:
        raise ResourceError("there is no home folder to keep data in", "~/.cache", FIX)
    return Path(place)


def made(folder: Path) -> Path:
    """A folder in there, made if need be; ResourceError where nothing can be written there."""
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
