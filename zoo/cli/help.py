"""The page of a verb: its keys with their defaults and meanings, read from files and docstrings."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from zoo.cli.usage import USAGES
from zoo.cli.verbs import BENCHES
from zoo.config import registry, source_code
from zoo.config.options import as_word
from zoo.config.tree import flatten
from zoo.config.yaml_file import read_yaml

WIDTH = 100  # columns of a page
COLUMN = 30  # where meanings begin
LINES = re.compile(r"^( *)(\w+):[^#\n]*(?:#\s*(.*))?$", re.MULTILINE)  # of a YAML file
TRAINED = ("fit", "diagnose", "bench", "show")  # verbs that take a whole configuration


def page(verb: str, words: Sequence[str]) -> str:
    """The page of a verb: what it does, examples, and its keys.

    Args:
        verb: its name.
        words: of the command line; `task=gnn` adds the options of what that task chooses.
    """
    usage = USAGES[verb]
    lines = [f"usage: python -m zoo {verb} {usage.takes}", "", usage.about, ""]
    lines += [f"  python -m zoo {verb} {words}".rstrip() for words in usage.examples]
    lines += heading("keys", (entry(key, text) for key, text in usage.keys.items()))
    if verb == "verify":
        lines += described("tasks.inference.verify.Verify")
    if verb == "export":
        lines += described("tasks.inference.export.verb.Export")
    if verb == "bench":
        kinds = BENCHES.items()
        lines += [entry(f"of={kind}", source_code.about(module)) for kind, module in kinds]
    if verb in TRAINED:
        lines += configuration(verb, words)
    if verb == "bench":
        lines += heading("with of=gpu, instead of these", described("tasks.bench.gpu.verb.GPU"))
    if verb == "compare":
        named = entry("compare=default", ", ".join(registry.names("compare")))
        lines += heading("keys", [named, *described("zoo.compare.design.spec.Comparison")])
        for name in registry.names("engine"):
            lines += heading(f"engine={name}", option_lines("engine", name, {}))
        lines += ["", "and every key of fit, of which several values are an axis: fit --help"]
        lines += heading("of a program of your own", described("zoo.compare.design.script.Script"))
    if verb == "list":
        groups = ", ".join((*registry.GROUPS, *registry.BESIDE))
        lines += heading("groups", textwrap.wrap(groups, WIDTH))
    for task in registry.names("task"):
        verbs = source_code.constant(registry.class_path("task", task), "verbs") or {}
        if verb in verbs:
            lines += heading(f"of a run of task={task}", described(verbs[verb]))
    return "\n".join(lines)


def heading(title: str, entries: Any) -> list[str]:
    """Lines under a title; no lines without any entry."""
    lines = list(entries)
    return ["", f"{title}:", *lines] if lines else []


def entry(key: str, meaning: str) -> str:
    """A key with its meaning, wrapped to the page."""
    head = f"  {key}"
    first = f"{head:<{COLUMN}}" if len(head) < COLUMN - 1 else f"{head}  "
    return textwrap.fill(f"{first}{meaning}", WIDTH, subsequent_indent=" " * COLUMN).rstrip()


def option(key: str, default: Any, meaning: str) -> str:
    """A key with its meaning, and with its default if that is short."""
    word = "" if isinstance(default, dict) else f"={as_word(default)}"
    return entry(key + word * (len(word) < COLUMN), meaning.replace("None:", "null:"))


def described(dotted: str) -> Iterator[str]:
    """The lines of a class's options, read from its docstring and its constructor."""
    texts = source_code.meanings(source_code.docstring(dotted))
    for key, default in source_code.defaults(dotted).items():
        yield option(key, default, texts.get(key, ""))


def configuration(verb: str, words: Sequence[str]) -> list[str]:
    """The lines of a whole configuration: general keys, groups, and options of the choices."""
    general = next(iter(registry.homes())) / "run.yaml"
    texts = comments(general)
    content = {k: v for k, v in read_yaml(general).items() if k != "defaults"}
    lines = [option(key, value, texts.get(key, "")) for key, value in flatten(content).items()]
    pairs = (word.partition("=") for word in words)
    stated = {group: name for group, _, name in pairs if group in registry.GROUPS}
    chosen = {**defaults_of(general), **stated}
    task: dict[str, Any] = {}
    if "task" in stated:
        file = registry.find("task", stated["task"])
        task, chosen = read_yaml(file), {**chosen, **defaults_of(file), **stated}
    for group in sorted({*registry.GROUPS} - {"trainer"}, key=lambda name: (name != "task", name)):
        alike = registry.FOLDERS.get(group)
        names = f"as {alike}" if alike else ", ".join(registry.names(group))
        lines.append(entry(f"{group}={chosen[group]}" if group in chosen else group, names))
    for group, name in chosen.items():
        if group != "preset":
            lines += heading(f"{group}={name}", option_lines(group, name, task.get(group, {})))
    if "task" not in stated:
        lines += ["", f"of a task, with its options and defaults: {verb} task=gnn --help"]
    return lines


def option_lines(group: str, name: str, changed: dict[str, Any]) -> Iterator[str]:
    """The lines of a choice's options.

    Args:
        group: such as `model`.
        name: the choice.
        changed: the task's defaults where they differ from those of the choice.
    """
    file, dotted = registry.find(group, name), registry.class_path(group, name)
    remarks = {key.removeprefix("task."): text for key, text in comments(file).items()}
    texts = {**source_code.meanings(source_code.docstring(dotted)), **remarks}
    for key, default in registry.options(group, name).items():
        yield option(f"{group}.{key}", changed.get(key, default), texts.get(key, ""))


def defaults_of(file: Path) -> dict[str, str]:
    """The default choice of each group in a YAML file."""
    entries = [e for e in read_yaml(file).get("defaults", []) if isinstance(e, dict)]
    pairs = [(key, name) for each in entries for key, name in each.items()]
    return {re.split("[/@]", key)[-1]: name for key, name in pairs if name not in (None, "???")}


def comments(file: Path) -> dict[str, str]:
    """The comment behind each key of a YAML file, by dotted key."""
    texts: dict[str, str] = {}
    path: list[str] = []
    for indent, key, text in LINES.findall(file.read_text(encoding="utf-8")):
        path = [*path[: len(indent) // 2], key]
        if text:
            texts[".".join(path)] = text
    return texts
