"""Rooms know each other one way, types included."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def imports(path):
    """The modules that a file imports, also for its types and within functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rooms(package):
    """The folders and files at the top of a package, each with those that it imports from."""
    home, name = ROOT / package, package.replace("/", ".") + "."
    known = {}
    for path in home.rglob("*.py"):
        room = path.relative_to(home).with_suffix("").parts[0]
        others = {other.removeprefix(name).split(".")[0] for other in imports(path)
                  if other.startswith(name)}  # fmt: skip
        known[room] = known.get(room, set()) | others - {room}
    return {room: others & known.keys() for room, others in known.items()}


@pytest.mark.parametrize("package", ["zoo", "zoo/compare", "tasks", "tasks/data"])
def test_no_two_rooms_import_from_each_other(package):
    known = rooms(package)
    assert sum(map(len, known.values())) > 3
    known.pop("__init__", None)  # names of a package, imported on first use
    TopologicalSorter(known).prepare()  # a CycleError names them


def test_no_two_files_of_tests_have_one_name():
    """Pytest imports them by their names alone, and a run of a single folder does not see it."""
    names = [path.name for path in (ROOT / "tests").rglob("*.py") if path.name != "conftest.py"]
    assert sorted(set(names)) == sorted(names)
