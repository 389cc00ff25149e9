"""What notebooks import is there, also for those that only the slow run executes."""

import ast
import json
from importlib import import_module
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


def imported(path):
    """The modules and names that the cells of a notebook import from this project."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    lines = [line for cell in cells if cell["cell_type"] == "code" for line in cell["source"]]
    lines = [line for line in lines if line.startswith(("from zoo", "from tasks"))]
    for line in lines:
        (statement,) = ast.parse(line).body
        yield statement.module, [alias.name for alias in statement.names]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_a_notebook_imports_is_there(path):
    found = [*imported(path)]
    assert found
    for module, names in found:
        assert [name for name in names if not hasattr(import_module(module), name)] == []
