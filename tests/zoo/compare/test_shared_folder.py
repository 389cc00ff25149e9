"""Machines that share a folder which tells them late of what the others did."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import lagging
import pytest

from zoo.compare.execution.store import Store

COUNT = 40


@pytest.mark.slow
@pytest.mark.parametrize("rereads", [True, False])
def test_machines_that_see_each_other_late_lose_nothing(rereads, tmp_path):
    """Nothing is done twice where a folder that is opened is read anew; else the first stays."""
    pipe = subprocess.PIPE
    command = [sys.executable, str(Path(lagging.__file__)), str(tmp_path)]
    both = [
        subprocess.Popen([*command, host, str(rereads), str(COUNT)], stdout=pipe, stderr=pipe)
        for host in ("one", "two")
    ]
    for process in both:
        out, err = process.communicate()
        assert process.returncode == 0, err.decode()
        assert json.loads(out) == {"done": COUNT, "failed": {}}
    store = Store(tmp_path)
    assert all(store.is_finished(f"cell{i}") for i in range(COUNT))
    assert [path for path in store.cells.iterdir() if path.name.startswith(".")] == []
    kept = Counter((tmp_path / "kept").read_text().split())
    assert len(kept) == COUNT
    if rereads:
        assert max(kept.values()) == 1


def test_the_first_result_stays(tmp_path):
    store = Store(tmp_path)
    for name in ("first", "second"):
        folder = tmp_path / "cells" / f".{name}"
        folder.mkdir()
        (folder / "result.json").write_text(json.dumps({"status": "done", "name": name}))
        assert store.commit("cell", folder) == ""
        assert not folder.exists()
    assert json.loads((store.cells / "cell" / "result.json").read_text())["name"] == "first"
