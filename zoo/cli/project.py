"""Where a skeleton is written: into the checkout of the zoo, or into another package."""

from __future__ import annotations

import keyword
import os
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from zoo.config import registry
from zoo.errors import ConfigError
from zoo.system.paths import expanded

ZOO_PATHS = {
    "connection": "zoo/connections/{}.py",
    "model": "zoo/models/{}.py",
    "data": "tasks/data/{}.py",
    "task": "tasks/{}/task.py",
}  # paths in the zoo itself
PACKAGE_PATHS = {
    "connection": "connections/{}.py",
    "model": "models/{}.py",
    "data": "data/{}.py",
    "task": "tasks/{}.py",
}  # paths in another package
NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
GROUP = '[project.entry-points."zoo.configs"]'


@dataclass
class Home:
    """A project that skeletons are written into.

    Args:
        root: its folder.
        base: the folder that its modules are imported from.
        package: its package; empty: the zoo itself.
        configs: the folder of its configurations.
    """

    root: Path
    base: Path
    package: str
    configs: Path

    def module(self, group: str, name: str) -> Path:
        """The file of a new class."""
        paths = PACKAGE_PATHS if self.package else ZOO_PATHS
        return self.base / self.package / paths[group].format(name)

    def dotted(self, module: Path) -> str:
        """The dotted name of a module's file."""
        return ".".join(module.relative_to(self.base).with_suffix("").parts)

    def test(self, kind: str, name: str) -> Path:
        """The file of a new test; in the zoo, folders of tests are named as those of the code."""
        room = "" if self.package else self.module(kind, name).parent.relative_to(self.base)
        return self.root / "tests" / room / f"test_{name}_{kind}.py"

    def inits(self, module: Path) -> Iterator[tuple[Path, str]]:
        """Each missing `__init__.py` of the folders above a module, with its content."""
        for folder in reversed(module.relative_to(self.base).parents[:-1]):
            init = self.base / folder / "__init__.py"
            if not init.exists():
                yield init, f'"""{folder.name.replace("_", " ").capitalize()}."""\n'

    @property
    def installed(self) -> bool:
        """Whether the registry sees its configurations."""
        return self.configs.resolve() in [folder.resolve() for folder in registry.homes()]


def the_checkout() -> Home:
    """The project that this code lies in.

    Errors:
        ConfigError: the zoo is installed without one.
    """
    root = registry.ZOO.parent
    if not (root / "configs" / "run.yaml").is_file():
        what = "the zoo is installed here, not checked out"
        raise ConfigError(what, str(root), "add package=DIR, for a package of your own")
    return Home(root, root, "", root / "configs")


def the_package(folder: str) -> Home:
    """The package in a folder, or a new one that will be made in it.

    Args:
        folder: as a user wrote it.

    Errors:
        ConfigError: the folder is no package and cannot become one.
    """
    where = f"package={folder}"
    root = Path(expanded(folder, where))
    if root.exists() and not root.is_dir():
        raise ConfigError("a file is there", where, "name a folder")
    project = root / "pyproject.toml"
    if project.is_file():
        return declared(project)
    if root.is_dir() and any(not each.name.startswith(".") for each in root.iterdir()):
        what = "the folder holds files and no pyproject.toml"
        raise ConfigError(what, where, "name a new folder, or one with a package")
    package = root.resolve().name.replace("-", "_")
    if not NAME.fullmatch(package) or keyword.iskeyword(package):
        fix = "name a folder of small letters, digits and _"
        raise ConfigError(f"{root.resolve().name!r} is no name of a package", where, fix)
    spec = find_spec(package)
    if spec and spec.origin and root.resolve() not in Path(spec.origin).resolve().parents:
        what = f"{package} is another package ({spec.origin})"
        raise ConfigError(what, where, "name the folder otherwise")
    base = root / "src"
    return Home(root, base, package, base / package / "configs")


def declared(project: Path) -> Home:
    """The package that a `pyproject.toml` declares to the zoo by an entry point.

    Errors:
        ConfigError: it cannot be read, or declares none.
    """
    try:
        content = tomllib.loads(project.read_text(encoding="utf-8"))
        points = content.get("project", {}).get("entry-points", {}).get("zoo.configs", {})
        value = str(next(iter(points.values()), ""))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, AttributeError) as error:
        reason = " ".join(str(error).split())[:120]
        raise ConfigError(f"cannot be read: {reason}", str(project), "mend it") from None
    root, package = project.parent, value.partition(".")[0]
    if not package or package == value:
        fix = f'add {GROUP} with the line lab = "lab.configs", for a package lab'
        raise ConfigError("no folder of configurations is declared", str(project), fix)
    for base in (root, root / "src"):
        if (base / package).is_dir():
            return Home(root, base, package, base.joinpath(*value.split(".")))
    raise ConfigError(f"there is no folder {package}", str(root), f"make {near(root / package)}")


def near(path: Path) -> str:
    """A path relative to the working directory, or absolute if it lies outside of it."""
    short = os.path.relpath(path)
    return str(path.resolve()) if short.startswith("..") else short
