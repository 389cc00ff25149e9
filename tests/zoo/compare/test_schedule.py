"""Leases, workers and the schedule: what is lost is run again, and nothing is kept twice."""

import json
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import stub_compare
from stub_compare import parent
from tiny_runs import words

from tasks.gnn.task import NodeClassification
from tasks.worker.main import answer
from zoo.compare.execution.store import Store
from zoo.config.compose import load
from zoo.run_folder import RunFolder

STUB = Path(stub_compare.__file__)


def begin(folder, count, kills):
    command = [sys.executable, str(STUB), str(folder), str(count), str(kills)]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def kept(folder):
    path = folder / "kept"
    return path.read_text().split() if path.is_file() else []


def test_two_parents_share_the_work(tmp_path):
    first, second = begin(tmp_path, 60, 0.0), begin(tmp_path, 60, 0.0)
    answers = [json.loads(process.communicate()[0]) for process in (first, second)]
    assert [answer["done"] for answer in answers] == [60, 60]
    assert Counter(kept(tmp_path)) == Counter(f"cell{i}" for i in range(60))


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


def test_a_run_that_a_signal_ends_is_lost_and_no_result(tmp_path, monkeypatch):
    """Such as that of a queue; its worker ends as well, by which an engine sees that it is lost."""
    loss = NodeClassification.loss

    def struck(self, *given):
        signal.raise_signal(signal.SIGTERM)
        return loss(self, *given)

    monkeypatch.setattr(NodeClassification, "loss", struck)
    config = load(words("gnn", "trainer.max_steps=9"))[0].plain()
    request = {"do": "cell", "config": config, "folder": str(tmp_path / "run"), "why": False}
    with pytest.raises(SystemExit, match="143"):
        answer(request)
    assert RunFolder(tmp_path / "run").result()["status"] == "interrupted"
