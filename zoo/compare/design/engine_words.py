"""What words and files say of the engine of a comparison: its name and its options."""

from __future__ import annotations

from collections.abc import Mapping

from zoo.compare.design.axes import Axes, Values
from zoo.config import registry
from zoo.errors import ConfigError

PREFIX = "engine."  # of its options
USUAL = "local"
MOVED = {"per_gpu": "engine.per_gpu"}  # options of `compare` that became those of an engine


def is_of_engine(key: str) -> bool:
    """Whether a key of the command line is of the engine, which changes no run and no plan."""
    return key == "engine" or key.startswith(PREFIX)


def take_engine(named: Axes, declared: Values) -> tuple[str, Values]:
    """Removes what is said of the engine; returns its name and its checked options.

    Args:
        named: the words of the command line, which win; under another engine than the file's its
            options there do not count.
        declared: what the file of the comparison says.

    Errors:
        ConfigError: an unknown engine, or an option that is unknown, wrong or another engine's.
    """
    for key in MOVED.keys() & {*named, *declared}:
        what = f"{key} is now an option of the engine"
        raise ConfigError(what, f"{key}=...", f"write {MOVED[key]}=...")
    words = {key: named.pop(key) for key in list(named) if is_of_engine(key)}
    file = {key: declared.pop(key) for key in list(declared) if is_of_engine(key)}
    for key, values in words.items():
        if len(values) != 1:
            raise ConfigError(f"{key} has {len(values)} values", f"{key}=...", "give one")
    said = {key: values[0] for key, values in words.items()}
    name = str(said.get("engine", file.get("engine", USUAL)))
    both = {**file, **said} if name == file.get("engine", USUAL) else said
    options = {key.removeprefix(PREFIX): v for key, v in both.items() if key != "engine"}
    refuse_those_of_others(name, options)
    return name, registry.check("engine", name, options)


def refuse_those_of_others(name: str, options: Mapping[str, object]) -> None:
    """ConfigError for an option that this engine lacks and another one has."""
    known = registry.options("engine", name)
    for key in options.keys() - known.keys():
        others = [n for n in registry.names("engine") if key in registry.options("engine", n)]
        if others:
            what, fix = f"engine={name} has no {key}", f"choose engine={' or '.join(others)}"
            raise ConfigError(what, f"{PREFIX}{key}=...", f"{fix}, or leave it out")
