"""The registry is a view of the files `configs/GROUP/NAME.yaml`: a class and its options.

Another package adds its folder by an entry point in the group `zoo.configs` whose value is the
package that holds the folder, for example `lab = "lab.configs"`.
"""

from __future__ import annotations

import atexit
import functools
import inspect
import shutil
import tempfile
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from zoo.config.options import Options, checked, fields
from zoo.config.yaml_file import read_yaml
from zoo.errors import ConfigError, suggest

ZOO = Path(__file__).parents[1]
GROUPS = (
    "connection",
    "data",
    "diagnostics",
    "init",
    "logger",
    "long",
    "model",
    "norm",
    "optimizer",
    "preset",
    "task",
    "trainer",
)
BESIDE = ("compare", "engine")  # groups of comparisons, which no run chooses
FOLDERS = {"long": "connection"}  # long skips of U-Nets take the same rules
SESSION: dict[tuple[str, str], Path] = {}  # folders made by `register`


@functools.cache
def homes() -> dict[Path, str]:
    """Config folders, each with the package whose classes its files may name."""
    shipped = ZOO / "configs"
    packages = {shipped if shipped.is_dir() else ZOO.parent / "configs": "zoo"}
    for point in entry_points(group="zoo.configs"):
        spec = find_spec(point.value)
        for folder in (spec.submodule_search_locations if spec else None) or []:
            packages[Path(folder)] = point.value.split(".")[0]
    return packages


def register(group: str, name: str, cls: type) -> None:
    """Registers a class for this process, as notebooks need it, with a YAML file in a new folder.

    Args:
        group: such as `connection`.
        name: what it will be called; an existing name is refused.
        cls: a class whose options have defaults.

    Errors:
        ConfigError: the name is taken.
    """
    import yaml

    known = (*GROUPS, "engine")
    if group not in known:
        raise ConfigError(f"unknown group {group!r}", "register", suggest(group, known))
    if name in names(group):
        homes().pop(SESSION.pop((group, name), ZOO), None)  # the same cell run again
    if name in names(group):
        raise ConfigError(f"{group} {name!r} is taken", "register", "choose another name")
    home = Path(tempfile.mkdtemp(prefix="zoo-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    parameters = inspect.signature(cls).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
    (home / group).mkdir()
    content = yaml.safe_dump({"class": f"{cls.__module__}.{cls.__qualname__}", **defaults})
    (home / group / f"{name}.yaml").write_text(content, encoding="utf-8")
    homes()[home] = cls.__module__.split(".")[0]
    SESSION[group, name] = home


def names(group: str) -> list[str]:
    """The registered names of a group.

    >>> "residual" in names("connection")
    True
    """
    folder = FOLDERS.get(group, group)
    return sorted({path.stem for home in homes() for path in (home / folder).glob("*.yaml")})


def find(group: str, name: str) -> Path:
    """The YAML file of a name.

    Errors:
        ConfigError: the name is not registered; the nearest ones are suggested.
    """
    for home in homes():
        path = home / FOLDERS.get(group, group) / f"{name}.yaml"
        if name in names(group) and path.is_file():
            return path
    raise ConfigError(f"unknown {group} {name!r}", f"{group}={name}", suggest(name, names(group)))


def class_path(group: str, name: str) -> str:
    """The dotted path of the class that a name stands for.

    Errors:
        ConfigError: it lies outside the package that ships the YAML file.
    """
    path = find(group, name)
    dotted = str(section(group, path).get("class"))
    package = next(package for home, package in homes().items() if home in path.parents)
    packages = ("zoo", "tasks") if package == "zoo" else (package,)
    if dotted.split(".")[0] not in packages:
        raise ConfigError(
            f"class {dotted} is outside {' and '.join(packages)}",
            str(path),
            "name a class of the package that ships this file",
        )
    return dotted


def resolve(group: str, name: str) -> Callable[..., Any]:
    """The class of a name, which the module of its dotted path must define itself.

    Errors:
        ConfigError: no such module or class.
    """
    module, _, attribute = class_path(group, name).rpartition(".")
    try:
        target = getattr(import_module(module), attribute, None)
    except ModuleNotFoundError as error:
        if not f"{module}.".startswith(f"{error.name}."):
            raise  # of something that the module imports
        target = None
    if not inspect.isclass(target) or target.__module__ != module:
        where = f"{find(group, name)}"
        raise ConfigError(f"no class {module}.{attribute}", where, "name a class defined there")
    return target


def options(group: str, name: str) -> Options:
    """The options of a name with their defaults, as its YAML lists them."""
    content = section(group, find(group, name))
    return {key: value for key, value in content.items() if key not in ("class", "defaults")}


def section(group: str, path: Path) -> Options:
    """The class and options that a YAML file lists; a task's file also changes other groups."""
    content = read_yaml(path)
    if group != "task":
        return content
    if not isinstance(content.get("task"), dict):
        raise ConfigError("no section task", str(path), "write the class and its options below it")
    return dict(content["task"])


def check(group: str, name: str, values: Options) -> Options:
    """The options of a name, checked against its constructor's annotations.

    Errors:
        ConfigError: an unknown option, a wrong value, or an option that the YAML does not list.
    """
    target, listed = resolve(group, name), options(group, name)
    for key in fields(target):
        if key not in listed:
            lost = f"the option {key} of {class_path(group, name)} is not listed"
            raise ConfigError(lost, str(find(group, name)), f"add a line {key}: DEFAULT")
    return checked(target, values, f"{group}={name}", f"{group}.")


def build(group: str, name: str, *args: Any, **values: Any) -> Any:
    """An object of the class of a name, made from required arguments and checked options.

    >>> from zoo.connection import Site
    >>> build("connection", "rezero", Site(width=4), alpha=0.5).alpha.item()
    0.5
    """
    return factory(group, name, values)(*args)


def factory(group: str, name: str, values: Options) -> Callable[..., Any]:
    """The class of a name with its checked options, waiting for the required arguments.

    What the constructor itself refuses (a ValueError) becomes a ConfigError.
    """
    target, checked = resolve(group, name), check(group, name, values)

    def make(*args: Any, **kwargs: Any) -> Any:
        try:
            return target(*args, **kwargs, **checked)
        except ValueError as error:
            hint = f"see: python -m zoo list {group}"
            raise ConfigError(str(error), f"{group}={name}", hint) from None

    return make
