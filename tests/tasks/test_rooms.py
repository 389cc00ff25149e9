"""Rooms of `tasks` know each other one way, types included."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[2]


def imports(path):
    """The modules that a file imports, also for its types and within functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rooms():
    """The folders and files at the top of `tasks`, each with those that it imports from."""
    known = {}
    for path in (ROOT / "tasks").rglob("*.py"):
        room = path.relative_to(ROOT / "tasks").with_suffix("").parts[0]
        others = {name.split(".")[1] for name in imports(path) if name.startswith("tasks.")}
        known[room] = known.get(room, set()) | others - {room}
    return known


def test_no_two_rooms_import_from_each_other():
    known = rooms()
    assert "recovery" in known["training"]
    TopologicalSorter(known).prepare()  # a CycleError names them
