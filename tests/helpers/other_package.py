"""Packages of somebody else, as if they were installed."""

import contextlib
import sys

import pytest

from zoo.config import registry


def forget(package):
    """Takes the modules of a package out of memory; other tests have one of that name."""
    for module in [name for name in sys.modules if name.split(".")[0] == package]:
        del sys.modules[module]


@contextlib.contextmanager
def installed(folder):
    """The package in a folder can be imported meanwhile, and the registry knows its `configs`."""

    class Point:
        value = f"{folder.name}.configs"

    forget(folder.name)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder.parent)
        patch.setattr(registry, "entry_points", lambda group: [Point])
        registry.homes.cache_clear()
        yield folder
    registry.homes.cache_clear()
    forget(folder.name)
