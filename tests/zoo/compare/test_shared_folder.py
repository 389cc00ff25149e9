"""Machines that share a folder which tells them late of what the others did."""

import contextlib
import json
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import lagging
import pytest
from stub_compare import engine_of

from zoo.compare.execution.engine import Outcome
from zoo.compare.execution.job import Job
from zoo.compare.execution.schedule import Tally, conclude, run_all
from zoo.compare.execution.store import Store
from zoo.system import heartbeat
from zoo.system.heartbeat import Pulse
from zoo.system.lease import sign_of

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


OWNER = {"host": "elsewhere", "pid": 1}


def half_run(store, cell):
    """The folder of a run that a process on another machine has begun, whose lease it has."""
    (store.leases / cell).write_text(json.dumps(OWNER))
    folder = store.cells / f".{cell}.elsewhere.1.0"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("lives", [True, False])
def test_what_a_dead_process_left_on_another_machine_is_removed(lives, tmp_path, monkeypatch):
    store, now = Store(tmp_path), [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    folder, pulse = half_run(store, "one"), Pulse(sign_of(OWNER, store.leases))
    pulse.beat()
    store.clean_up()
    now[0] = 121.0
    if lives:
        pulse.beat()
    assert folder.exists()
    store.close()
    left = [path.name for path in (*store.cells.iterdir(), *store.leases.iterdir())]
    assert sorted(left) == ([".alive.elsewhere.1", folder.name, "one"] if lives else [])


def test_nothing_of_a_comparison_is_left_but_its_results(tmp_path):
    """Not of a run that failed, nor of processes that were killed while they took a lease."""
    store = Store(tmp_path)
    assert store.acquire("one")
    store.empty_folder("one").mkdir()
    (store.leases / ".lease.tmp1").touch()
    (store.path / ".lease.tmp2").touch()
    other = Store(tmp_path)
    other.clean_up()
    assert not other.acquire("one")
    assert len([*store.cells.iterdir()]) == 1
    store.close()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["cells", "leases", "logs"]


@pytest.mark.parametrize(
    "outcome", [Outcome("one", {"error": "no such file", "code": 3}), Outcome("one", lost="killed")]
)
def test_a_run_that_another_process_took_over_is_not_lost_with_its_folder(outcome, tmp_path):
    """As by one on another machine, where this one slept for long."""
    store, job = Store(tmp_path), Job("one", {})
    tally, waiting = Tally.of([job], store), []
    assert store.acquire("one")
    half_run(store, "one")
    conclude(outcome, job, 1.0, store, tally, waiting)
    assert waiting == [job]
    assert job.losses == 0
    assert tally.failed == {}
    assert not store.acquire("one")
    store.close()
    assert (store.leases / "one").exists()


def test_a_folder_that_is_gone_is_no_result(tmp_path):
    """As of a run whose lease another one took after its result was seen."""
    store, folder = Store(tmp_path), tmp_path / "cells" / ".one"
    folder.mkdir()
    (folder / "result.json").write_text("{}")
    rename = Path.rename

    def late(path, target):
        shutil.rmtree(path)
        rename(path, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "rename", late)
        assert store.commit("one", folder) == "its folder was removed"


def test_runs_of_another_machine_are_said_and_done_here_once_it_is_dead(tmp_path, monkeypatch):
    store, notes = Store(tmp_path), []
    half_run(store, "one")

    def show(tally):
        notes.append(tally.note)
        monkeypatch.setattr(heartbeat, "SILENT", -1.0)

    with contextlib.closing(store), engine_of(store) as engine:
        jobs = [Job(name, {"name": name}) for name in ("one", "two")]
        tally = Tally.of(jobs, store)
        run_all(jobs, tally, store, engine, show)
    assert notes[0] == "1 wait for another process"
    assert tally.done == 2
    assert [path.name for path in store.leases.iterdir()] == []
