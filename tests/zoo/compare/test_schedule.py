"""Leases, workers and the schedule: what is lost is run again, and nothing is kept twice."""

import json
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import stub_compare
from conftest import until
from stub_compare import parent

from zoo.compare.execution.store import Store

STUB = Path(stub_compare.__file__)


def begin(folder, count, kills):
    command = [sys.executable, str(STUB), str(folder), str(count), str(kills)]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def kept(folder):
    path = folder / "kept"
    return path.read_text().split() if path.is_file() else []


@pytest.mark.fault(38)
@pytest.mark.parametrize("count", [120, pytest.param(2000, marks=pytest.mark.soak)])
def test_nothing_is_lost_and_nothing_done_twice(count, tmp_path):
    """Five workers in a hundred cells are killed, and the parent three times."""
    for part in (1, 2, 3):
        process = begin(tmp_path, count, 0.05)
        until(lambda goal=part * count // 4: len(kept(tmp_path)) >= goal)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    process = begin(tmp_path, count, 0.05)
    answer = json.loads(process.communicate()[0])
    lost = len(answer["failed"])  # three kills in a row are a failure, and say so
    assert answer["done"] + lost == count
    assert lost <= max(1, count // 500)
    store = Store(tmp_path)
    results = [f"cell{i}" for i in range(count) if store.is_finished(f"cell{i}")]
    assert len(results) == answer["done"]
    assert max(Counter(kept(tmp_path)).values()) == 1
    store.clean_up()
    assert [p for p in store.cells.iterdir() if p.name.startswith(".")] == []


def test_two_parents_share_the_work(tmp_path):
    first, second = begin(tmp_path, 60, 0.0), begin(tmp_path, 60, 0.0)
    answers = [json.loads(process.communicate()[0]) for process in (first, second)]
    assert [answer["done"] for answer in answers] == [60, 60]
    assert Counter(kept(tmp_path)) == Counter(f"cell{i}" for i in range(60))


@pytest.mark.fault(26)
def test_failures_cost_only_their_cell(tmp_path):
    names = ["good0", "bad", "huge", "endless", "good1"]
    tally = parent(tmp_path, names, 2, 0.0, 1.0)
    assert tally.done == 2
    assert set(tally.failed) == {"bad", "huge", "endless"}
    assert tally.failed["bad"].startswith("it is bad (see logs/worker")
    assert "no end after 1 s" in tally.failed["endless"]


def test_a_finished_cell_is_never_taken(tmp_path):
    parent(tmp_path, ["one"], 1, 0.0, 60.0)
    assert not Store(tmp_path).acquire("one")
    before = (tmp_path / "cells" / "one" / "result.json").stat().st_mtime_ns
    parent(tmp_path, ["one", "two"], 1, 0.0, 60.0)
    assert (tmp_path / "cells" / "one" / "result.json").stat().st_mtime_ns == before
    assert kept(tmp_path) == ["one", "two"]


def groups(folder):
    return (folder / "cells" / "together").read_text().splitlines()


def test_runs_that_go_together_end_one_by_one(tmp_path):
    """One that fails costs the others nothing, and no worker is given more than are asked for."""
    names = ["good0", "bad1", "good2", "huge3", "good4"]
    tally = parent(tmp_path, names, 1, 0.0, 60.0, together=4)
    assert groups(tmp_path) == ["good0 bad1 good2 huge3"]
    assert tally.done == 3
    assert set(tally.failed) == {"bad1", "huge3"}
    assert sorted(kept(tmp_path)) == ["good0", "good2", "good4"]


def test_a_lost_group_is_repeated_run_by_run(tmp_path):
    names = ["good0", "fatal1", "good2"]
    tally = parent(tmp_path, names, 1, 0.0, 60.0, together=3)
    assert groups(tmp_path) == [" ".join(names)]
    assert tally.done == 3
    assert Counter(kept(tmp_path)) == Counter(names)
