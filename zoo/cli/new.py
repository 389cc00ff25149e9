"""The verb `new`: writes a skeleton that runs as it is, with its options in YAML and a test."""

from __future__ import annotations

import contextlib
import keyword
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from string import Template
from typing import Any

from zoo.cli.project import NAME, Home, near, the_checkout, the_package
from zoo.config import registry
from zoo.errors import FULL, ConfigError, quoted, shown, suggest
from zoo.report import Report

KINDS = {
    "connection": ("connection",),
    "model": ("model",),
    "data": ("data",),
    "task": ("data", "model", "task"),
}  # the groups in which a skeleton of each kind registers its name
TRAINING = {
    "connection": "task=gnn connection={}",
    "model": "task=cnn model={}",
    "data": "task=cnn data={}",
    "task": "task={}",
}  # words of `fit` that train a skeleton
INSTALL = ("pip", "install", "--no-build-isolation", "-e")  # PyTorch brings what builds it
TEMPLATES = Path(__file__).with_name("templates")
YAML_WORDS = ("null", "true", "false", "yes", "no", "on", "off", "inf", "nan")  # not read as texts
IMPORTS = re.compile(r"(?:^from \S+ import .*\n)+", re.MULTILINE)


def new(words: Sequence[str]) -> Report:
    """Writes the files of a skeleton and reports them with the commands that follow.

    Args:
        words: `KIND NAME [package=DIR]`.

    Errors:
        ConfigError: an unknown kind; a name that is no word, or is taken; a file that exists; a
            folder that cannot hold a package.
    """
    kind, name, folder = arguments(words)
    refuse_name(kind, name)
    home = the_checkout() if folder is None else the_package(folder)
    files = skeleton(kind, name, home)
    write(files)
    written = [near(path) for path in files]
    following = [quoted(["python", "-m", *step]) for step in steps(kind, name, home)]
    record = {"kind": kind, "name": name, "written": written, "next": following}
    text = "\n".join([*columns("wrote", map(shown, written)), *columns("next:", following)])
    return Report(record, text)


def skeleton(kind: str, name: str, home: Home) -> dict[Path, str]:
    """The content of every file of a skeleton, by path.

    Errors:
        ConfigError: one of them exists.
    """
    modules = {group: home.module(group, name) for group in KINDS[kind]}
    values = {"name": name, "Name": titled(name), "package": home.package}
    values |= {group: home.dotted(module) for group, module in modules.items()}
    project, files = home.root / "pyproject.toml", {}
    if not project.exists():
        files[project] = filled("package/pyproject.toml", values)
    for group, module in modules.items():
        files.update(home.inits(module))
        files[module] = filled(f"{kind}/{group}.py", values)
        files[home.configs / group / f"{name}.yaml"] = filled(f"{kind}/{group}.yaml", values)
    files[home.test(kind, name)] = filled(f"{kind}/test.py", values)
    rooms = [module.with_suffix("") for module in modules.values()]  # a package of the same name
    if kind == "task" and not home.package:
        rooms.append(modules[kind].parent)
    for path in (*files, *rooms):
        if os.path.lexists(path):
            raise ConfigError("it is there already", near(path), "choose another name")
    return files


def steps(kind: str, name: str, home: Home) -> Iterator[list[str]]:
    """The commands that install, test and train a skeleton, as words after `python -m`."""
    if not home.installed:
        yield [*INSTALL, near(home.root)]
    test = near(home.test(kind, name))
    laws = kind == "connection" and not home.package
    yield ["pytest", "tests/test_laws.py", test, "-k", name] if laws else ["pytest", test]
    yield ["zoo", "fit", *TRAINING[kind].format(name).split()]


def arguments(words: Sequence[str]) -> tuple[str, str, str | None]:
    """Kind, name and package folder of a command line.

    Errors:
        ConfigError: an unknown kind or option, or other than two words.
    """
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


def refuse_name(kind: str, name: str) -> None:
    """Raises ConfigError for a name that is no word, is registered, or stands in the template."""
    where = quoted(["new", kind, name])
    if not NAME.fullmatch(name) or keyword.iskeyword(name) or name in YAML_WORDS:
        small = re.sub(r"\W+|(?<=[a-z0-9])(?=[A-Z])", "_", name).strip("_").lower()
        fits = small != name and NAME.fullmatch(small) and small not in YAML_WORDS
        form = "write a word of small letters, digits and _; a folder is given by package=DIR"
        form = "choose another word, this one is Python's" if keyword.iskeyword(name) else form
        near_it = f"did you mean {small}?" if fits and "/" not in name else form
        raise ConfigError(f"{name!r} is no name", where, near_it)
    for group in KINDS[kind]:
        if name in registry.names(group):
            raise ConfigError(f"{group} {name!r} is registered", where, "choose another name")
    title = titled(name)
    texts = [file.read_text(encoding="utf-8") for file in (TEMPLATES / kind).iterdir()]
    if any(re.search(rf"\b{title}\b", text) for text in texts):
        what = f"{title} means something else in the file of a {kind}"
        raise ConfigError(what, where, "choose another name")


def titled(name: str) -> str:
    """The name of a class.

    >>> titled("my_rule")
    'MyRule'
    """
    return name.replace("_", " ").title().replace(" ", "")


def filled(name: str, values: dict[str, str]) -> str:
    """A template with the values filled in and its imports sorted."""
    text = Template((TEMPLATES / f"{name}.txt").read_text(encoding="utf-8")).substitute(values)
    return IMPORTS.sub(lambda block: "".join(sorted(block[0].splitlines(keepends=True))), text)


def write(files: dict[Path, str]) -> None:
    """Writes new files with their folders: all of them, or none.

    Errors:
        ConfigError: a path that cannot be written.
    """
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
        if isinstance(error, OSError) and error.errno not in FULL:
            what, where = str(error.strerror), str(error.filename)
            raise ConfigError(what, where, "name another place") from None
        raise


def columns(title: str, lines: Any) -> list[str]:
    """Lines in a column behind a title."""
    return [f"{title if not number else '':<6}{line}" for number, line in enumerate(lines)]
