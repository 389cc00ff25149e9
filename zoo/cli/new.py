"""The verb `new`: writes a skeleton that runs as it is, with its options in YAML and a test."""

from __future__ import annotations

import contextlib
import keyword
import os
import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from string import Template
from typing import Any

from zoo.config import registry
from zoo.errors import ConfigError, quoted, shown, suggest
from zoo.system.paths import expanded

KINDS = {
    "connection": ("connection",),
    "model": ("model",),
    "data": ("data",),
    "task": ("data", "model", "task"),
}  # what is registered by a skeleton of each kind
HERE = {
    "connection": "zoo/connections/{}.py",
    "model": "zoo/models/{}.py",
    "data": "tasks/data/{}.py",
    "task": "tasks/{}/task.py",
}  # places in the zoo itself
THERE = {
    "connection": "connections/{}.py",
    "model": "models/{}.py",
    "data": "data/{}.py",
    "task": "tasks/{}.py",
}  # places in another package
TRIED = {
    "connection": "task=gnn connection={}",
    "model": "task=cnn model={}",
    "data": "task=cnn data={}",
    "task": "task={}",
}  # what trains a skeleton
INSTALL = ("pip", "install", "--no-build-isolation", "-e")  # PyTorch brings what builds it
TEMPLATES = Path(__file__).with_name("templates")
NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
READ = ("null", "true", "false", "yes", "no", "on", "off", "inf", "nan")  # as other than a name
IMPORTS = re.compile(r"(?:^from \S+ import .*\n)+", re.MULTILINE)
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
        """The file of a class."""
        places = THERE if self.package else HERE
        return self.base / self.package / places[group].format(name)

    def test(self, kind: str, name: str) -> Path:
        """The file of a test; the zoo's own tests lie as what they test."""
        room = "" if self.package else self.module(kind, name).parent.relative_to(self.base)
        return self.root / "tests" / room / f"test_{name}_{kind}.py"

    def inits(self, module: Path) -> Iterator[tuple[Path, str]]:
        """The `__init__.py` that the folders above a module lack, with their content."""
        for folder in reversed(module.relative_to(self.base).parents[:-1]):
            init = self.base / folder / "__init__.py"
            if not init.exists():
                yield init, f'"""{folder.name.replace("_", " ").capitalize()}."""\n'


def new(words: Sequence[str]) -> tuple[dict[str, Any], str]:
    """Writes the files of a skeleton; gives them and the commands that follow, also as a text.

    Args:
        words: `KIND NAME [package=DIR]`.

    Errors:
        ConfigError: an unknown kind, a name that is none or taken, a file that is there, a folder
            that is no package of its own.
    """
    kind, name, given = parsed(words)
    title = name.replace("_", " ").title().replace(" ", "")
    refuse_name(kind, name, title)
    home, files = (the_checkout(), {}) if given is None else the_package(given)
    modules = {group: home.module(group, name) for group in KINDS[kind]}
    paths = {group: ".".join(p.relative_to(home.base).with_suffix("").parts)
             for group, p in modules.items()}  # fmt: skip
    values = {"name": name, "Name": title, **paths}
    for group, module in modules.items():
        files.update(home.inits(module))
        files[module] = filled(f"{kind}/{group}.py", values)
        files[home.configs / group / f"{name}.yaml"] = filled(f"{kind}/{group}.yaml", values)
    test = home.test(kind, name)
    files[test] = filled(f"{kind}/test.py", values)
    folders = [module.with_suffix("") for module in modules.values()]
    if kind == "task" and not home.package:
        folders.append(modules[kind].parent)  # a room of its own
    refuse_taken([*files, *(folder for folder in folders if folder.is_dir())])
    write(files)
    place = near(home.root)
    steps = [] if installed(home) else [[*INSTALL, place]]
    laws = ["tests/test_laws.py"] if kind == "connection" and not home.package else []
    steps.append(["pytest", *laws, near(test), *(["-k", name] if laws else [])])
    steps.append(["zoo", "fit", *TRIED[kind].format(name).split()])
    following = [quoted(["python", "-m", *step]) for step in steps]
    written = [near(path) for path in files]
    record = {"kind": kind, "name": name, "written": written, "next": following}
    return record, "\n".join([*columns("wrote", map(shown, written)), *columns("next:", following)])


def parsed(words: Sequence[str]) -> tuple[str, str, str | None]:
    """Kind, name and package of the command line."""
    bare = [word for word in words if "=" not in word]
    pairs = dict(word.split("=", 1) for word in words if "=" in word)
    form = "write new KIND NAME [package=DIR]"
    if bare and bare[0] not in KINDS:
        raise ConfigError(f"unknown kind {bare[0]!r}", f"new {bare[0]}", suggest(bare[0], KINDS))
    for key in pairs:
        if key != "package":
            raise ConfigError(f"unknown option {key}", "new", suggest(key, ["package"]))
    if len(bare) != 2:
        what = f"{', '.join(KINDS)}: one of them and a name" if len(bare) < 2 else "too many words"
        raise ConfigError(what, quoted(["new", *words]), form)
    return bare[0], bare[1], pairs.get("package")


def refuse_name(kind: str, name: str, title: str) -> None:
    """ConfigError for a name that cannot be written, is registered, or means something else."""
    where = quoted(["new", kind, name])
    if not NAME.fullmatch(name) or keyword.iskeyword(name) or name in READ:
        small = re.sub(r"\W+|(?<=[a-z0-9])(?=[A-Z])", "_", name).strip("_").lower()
        fits = small != name and NAME.fullmatch(small) and small not in READ
        form = "write a word of small letters, digits and _; a folder is given by package=DIR"
        near_it = f"did you mean {small}?" if fits and "/" not in name else form
        raise ConfigError(f"{name!r} is no name", where, near_it)
    for group in KINDS[kind]:
        if name in registry.names(group):
            raise ConfigError(f"{group} {name!r} is registered", where, "choose another name")
    texts = [file.read_text(encoding="utf-8") for file in (TEMPLATES / kind).iterdir()]
    if any(re.search(rf"\b{title}\b", text) for text in texts):
        what = f"{title} means something else in the file of a {kind}"
        raise ConfigError(what, where, "choose another name")


def the_checkout() -> Home:
    """The project that this code lies in; ConfigError where it is installed without one."""
    root = registry.HERE.parent
    if not (root / "configs" / "run.yaml").is_file():
        what = "the zoo is installed here, not checked out"
        raise ConfigError(what, str(root), "add package=DIR, for a package of your own")
    return Home(root, root, "", root / "configs")


def the_package(given: str) -> tuple[Home, dict[Path, str]]:
    """A package in a folder, and what it still needs to be one."""
    root = Path(expanded(given, f"package={given}"))
    where = f"package={given}"
    if root.exists() and not root.is_dir():
        raise ConfigError("a file is there", where, "name a folder")
    project = root / "pyproject.toml"
    if project.is_file():
        return declared(project), {}
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
    text = filled("package/pyproject.toml", {"package": package})
    base = root / "src"
    return Home(root, base, package, base / package / "configs"), {project: text}


def declared(project: Path) -> Home:
    """The package that a `pyproject.toml` declares to the zoo; ConfigError where it does not."""
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


def filled(name: str, values: dict[str, str]) -> str:
    """A template with the names in their places, and its imports in their order."""
    text = Template((TEMPLATES / f"{name}.txt").read_text(encoding="utf-8")).substitute(values)
    return IMPORTS.sub(lambda block: "".join(sorted(block[0].splitlines(keepends=True))), text)


def refuse_taken(paths: Sequence[Path]) -> None:
    """ConfigError for the first path that is there already."""
    for path in paths:
        if os.path.lexists(path):
            raise ConfigError("it is there already", near(path), "choose another name")


def write(files: dict[Path, str]) -> None:
    """Writes new files with their folders: all of them, or none."""
    made: list[Path] = []
    try:
        for path, text in files.items():
            for folder in reversed(path.parents):
                if not folder.exists():
                    folder.mkdir()
                    made.append(folder)
            with path.open("x", encoding="utf-8") as file:
                made.append(path)
                file.write(text)
    except BaseException as error:
        for path in reversed(made):
            with contextlib.suppress(OSError):
                path.rmdir() if path.is_dir() else path.unlink()
        if isinstance(error, (FileExistsError, NotADirectoryError)):
            what, where = str(error.strerror), str(error.filename)
            raise ConfigError(what, where, "name another place") from None
        raise


def installed(home: Home) -> bool:
    """Whether the registry sees the configurations of a project."""
    return home.configs.resolve() in [folder.resolve() for folder in registry.homes()]


def near(path: Path) -> str:
    """A path as it is written from where the user stands."""
    short = os.path.relpath(path)
    return str(path.resolve()) if short.startswith("..") else short


def columns(title: str, lines: Any) -> list[str]:
    """Lines under each other behind a title."""
    return [f"{title if not number else '':<6}{line}" for number, line in enumerate(lines)]
