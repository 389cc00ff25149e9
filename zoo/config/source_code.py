"""Docstrings, defaults and constants of classes, read from source files without importing them."""

from __future__ import annotations

import ast
import functools
import inspect
import re
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any


@functools.cache
def tree_of(module: str) -> ast.Module:
    """The syntax tree of a module; an empty one where its file does not exist."""
    package, *rest = module.split(".")
    spec = find_spec(package)
    root = Path((spec.submodule_search_locations or ["."])[0]) if spec else Path()
    path = root.joinpath(*rest)
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(path.read_text(encoding="utf-8") if path.is_file() else "")


def class_of(dotted: str) -> ast.ClassDef | None:
    """The syntax tree of the class that a dotted path names; None where its module lacks it."""
    module, _, attribute = dotted.rpartition(".")
    classes = (node for node in tree_of(module).body if isinstance(node, ast.ClassDef))
    return next((node for node in classes if node.name == attribute), None)


def about(module: str) -> str:
    """The first sentence of a module's docstring."""
    return sentence(ast.get_docstring(tree_of(module)) or "")


def docstring(dotted: str) -> str:
    """The docstring of a class."""
    module, _, attribute = dotted.rpartition(".")
    if "." not in module and module in sys.modules:  # of a notebook
        return inspect.getdoc(getattr(sys.modules[module], attribute)) or ""
    node = class_of(dotted)
    return (node and ast.get_docstring(node)) or ""


def meanings(text: str) -> dict[str, str]:
    r"""The first sentence on each argument of a docstring.

    >>> meanings("Args:\n    alpha: its gain. At least 0.\n    beta: the\n        bias.\n")
    {'alpha': 'its gain', 'beta': 'the bias'}
    """
    _, _, section = text.partition("Args:\n")
    section = re.split(r"\n(?=\S)", section)[0]
    pairs = re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", section, re.MULTILINE)
    return {name: sentence(words) for name, words in pairs}


def sentence(text: str) -> str:
    """The first sentence of a text, in one line and without its full stop."""
    return re.split(r"\.(?:\s|$)", " ".join(text.split()))[0]


def defaults(dotted: str) -> dict[str, Any]:
    """The options of a class's constructor with their defaults."""
    node = class_of(dotted)
    methods = (n for n in node.body if isinstance(n, ast.FunctionDef)) if node else ()
    signature = next((method.args for method in methods if method.name == "__init__"), None)
    if signature is None or not signature.defaults:
        return {}
    optional = signature.args[-len(signature.defaults) :]
    pairs = zip(optional, signature.defaults, strict=True)
    return {argument.arg: value(node) for argument, node in pairs}


def constant(dotted: str, name: str) -> Any:
    """The value of a class attribute with an annotation, `name: ... = value`; None without one."""
    node = class_of(dotted)
    for line in node.body if node else ():
        if isinstance(line, ast.AnnAssign) and line.value and ast.unparse(line.target) == name:
            return value(line.value)
    return None


def value(node: ast.expr) -> Any:
    """The value of a literal, or the source text of any other expression."""
    try:
        return ast.literal_eval(node)
    except ValueError:
        return ast.unparse(node)
