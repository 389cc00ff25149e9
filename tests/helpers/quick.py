"""What takes most of the time of small runs is left out: pictures of figures, composing anew."""

import contextlib
from pathlib import Path
from unittest.mock import patch

import hydra
from hydra.core.global_hydra import GlobalHydra
from matplotlib.figure import Figure

from zoo.config import registry

SAVEFIG = Figure.savefig


def touch(figure, target, **options):
    """Makes an empty file; what a page takes from memory is drawn."""
    if isinstance(target, Path):
        target.touch()
    else:
        SAVEFIG(figure, target, **options)


def undrawn():
    """A context in which figures are made and not drawn to files."""
    return patch.object(Figure, "savefig", touch)


def drawn():
    """A context in which figures are drawn after all."""
    return patch.object(Figure, "savefig", SAVEFIG)


def composed_once():
    """A context in which Hydra reads the files of the project once for each choice of them.

    They stay as they are while the tests run. Files of other folders are read every time.
    """
    compose, known = hydra.compose, {}
    shipped = str(next(iter(registry.homes())).resolve())

    def again(name, words, **options):
        loader = GlobalHydra.instance().config_loader()
        homes = [source.path for source in loader.get_search_path().get_path()]
        if shipped not in homes or any("searchpath" in word for word in words):
            return compose(name, words, **options)
        if (name, *words) not in known:
            known[name, *words] = compose(name, words, **options)
        return known[name, *words]

    return patch.object(hydra, "compose", again)


@contextlib.contextmanager
def quick():
    """Both."""
    with undrawn(), composed_once():
        yield
