"""One contract for all engines: what they run, what they lose, and what they leave behind."""

import functools
import json
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import stub_compare
import stub_worker
from conftest import until
from engine_places import opened, processes
from stub_compare import engine_of, parent

from zoo.cli.main import main
from zoo.compare.execution.engine import Terms
from zoo.compare.execution.engines.ray_cluster import why_lost
from zoo.compare.execution.engines.ray_seat import RaySeat
from zoo.compare.execution.store import Store
from zoo.config import registry
from zoo.system.shared_folder import sign

STUB = Path(stub_compare.__file__)
SLOW = pytest.mark.slow  # a cluster takes seconds to start
ENGINES = [
    name if name == "local" else pytest.param(name, marks=SLOW) for name in registry.names("engine")
]


@pytest.fixture(scope="module", params=ENGINES)
def engine(request):
    """The words of an engine that can run here: its name and the options that lead to its place."""
    with opened(request.param) as options:
        yield {"engine": request.param, **options}


def begin(folder, count, kills, engine):
    options = json.dumps({key: value for key, value in engine.items() if key != "engine"})
    command = [sys.executable, str(STUB), str(folder), str(count), str(kills)]
    return subprocess.Popen([*command, engine["engine"], options], stdout=subprocess.PIPE)


def kept(folder):
    path = folder / "kept"
    return path.read_text().split() if path.is_file() else []


def stubs():
    return processes(stub_worker.__file__)


@pytest.mark.fault(26)
def test_every_end_of_a_job_is_told_and_costs_no_other(engine, tmp_path):
    """Results, errors, memory that ran out, a hang and an answer that is none, in any order."""
    names = ["good0", "bad", "huge", "endless", "odd", "good1"]
    tally = parent(tmp_path, names, 2, 0.0, 1.0, **engine)
    assert sorted(kept(tmp_path)) == ["good0", "good1"]
    assert tally.done == 2
    why = tally.failed
    assert set(why) == {"bad", "huge", "endless", "odd"}
    assert why["bad"].startswith("it is bad (see logs/")
    assert why["huge"].startswith("no memory (see logs/")
    assert "no end after 1 s" in why["endless"]
    assert "no JSON object but what?" in why["odd"]
    for text in why.values():
        assert (tmp_path / text.partition("(see ")[2].rstrip(")")).is_file()


def test_a_lost_group_is_repeated_run_by_run(engine, tmp_path):
    names = ["good0", "fatal1", "good2", "good3"]
    tally = parent(tmp_path, names, 1, 0.0, 60.0, together=4, **engine)
    assert (tmp_path / "cells" / "together").read_text().splitlines() == [" ".join(names)]
    assert tally.done == 4
    assert Counter(kept(tmp_path)) == Counter(names)


def test_a_killed_worker_costs_its_job_and_closing_ends_the_others(engine, tmp_path):
    store = Store(tmp_path)
    with engine_of(store, **engine) as started:
        for name in ("endless0", "endless1"):
            assert started.free > 0
            folder = str(store.cells / name)
            started.submit(name, {"do": "cell", "config": {"name": name}, "folder": folder})
        assert started.free == 0
        until(
            lambda: started.poll(0.1) == [] and len(stubs()) == 2,
            seconds=90,
        )
        os.kill(stubs()[0], signal.SIGKILL)
        lost = []
        until(lambda: lost.extend(started.poll(0.1)) or lost, seconds=60)
        assert len(lost) == 1
        assert lost[0].job in ("endless0", "endless1")
        assert "killed" in lost[0].lost
        assert started.free == 1
    until(lambda: stubs() == [])


def test_a_parent_that_is_interrupted_or_killed_leaves_no_worker(engine, tmp_path):
    for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -9)):
        process = begin(tmp_path, 2_000, 0.0, engine)
        before = len(kept(tmp_path))
        until(lambda before=before: len(kept(tmp_path)) > before, seconds=90)
        process.send_signal(number)
        process.communicate()
        assert process.returncode in (code, -number, 1)
        until(lambda: stubs() == [], seconds=300)  # a cluster sees by silence that it was killed


@pytest.mark.fault(38)
@pytest.mark.parametrize("count", [120, pytest.param(2000, marks=SLOW)])
def test_nothing_is_lost_and_nothing_done_twice(engine, count, tmp_path):
    """Five workers in a hundred cells are killed, and the parent three times."""
    for part in (1, 2, 3):
        process = begin(tmp_path, count, 0.05, engine)
        until(lambda goal=part * count // 4: len(kept(tmp_path)) >= goal, seconds=600)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    process = begin(tmp_path, count, 0.05, engine)
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


def test_ray_without_jobs_of_its_own_waits_for_those_of_others(tmp_path, monkeypatch):
    started, slept = registry.factory("engine", "ray", {})(Terms(tmp_path)), []
    monkeypatch.setattr("time.sleep", slept.append)
    assert started.poll(0.5) == []
    assert slept == [0.5]


def test_a_node_that_lacks_a_package_names_it():
    cause = "ModuleNotFoundError: No module named 'zoo'"
    told = f"The actor died because of an error\nTraceback\n{cause}\n"
    assert why_lost(RuntimeError(told)).endswith(f"was lost: {cause}")
    assert why_lost(TimeoutError()).endswith("was lost: TimeoutError")


@pytest.mark.parametrize("shared", [True, False])
def test_a_node_tells_by_the_log_of_its_worker_whether_it_sees_the_folder(
    shared, tmp_path, monkeypatch
):
    """A folder of the same name on a machine that does not share it is another one."""
    monkeypatch.setattr("zoo.system.shared_folder.is_seen.__defaults__", ("", 0.0))
    log, other = tmp_path / "worker0.log", tmp_path / "other.log"
    line, _ = sign(log), sign(other)
    seat = RaySeat((), str(log if shared else other), str(tmp_path))
    assert seat.begin(line)[1] == ("" if shared else str(tmp_path))
    assert seat.begin(line)[0]


JOINS = """
import sys
from zoo.compare.execution.engines import ray_cluster
ray_cluster.LONGEST = float(sys.argv[2])
try:
    ray_cluster.Cluster(sys.argv[1])
except ray_cluster.ResourceError as error:
    sys.exit(f"zoo: error: {error}")
"""


def refusal(address, seconds):
    """The line with which one ends who joins a cluster with a token of his own."""
    own = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": 32 * "b", "RAY_NUM_REDIS_GET_RETRIES": "2"}
    command = [sys.executable, "-c", JOINS, address, str(seconds)]
    done = subprocess.run(command, env=os.environ | own, stderr=subprocess.PIPE, text=True)
    (line,) = done.stderr.splitlines()
    return line


@SLOW
def test_a_cluster_that_asks_for_another_token_is_told_from_what_is_none():
    with opened("ray") as options:
        line = refusal(options["address"], 60)
    assert "asks for a token, and this one is missing or another" in line
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        line = refusal(f"127.0.0.1:{silent.getsockname()[1]}", 1)
    assert "no Ray cluster: no answer within 1 s" in line


REAL = ["task=gnn", "connection=plain,residual", "model.depth=2,3", "pairs=10", "model.width=8"]
REAL += ["trainer.max_steps=4", "data.nodes=100", "data.train=40", "data.val=20", "mirror=false"]
TIMES = {"seconds", "seconds_per_step", "peak_memory_bytes", "begun", "time", "head", "command"}
TIMES |= {"warnings"}  # that a step takes longer


def lasting(part):
    """A part of a record without times, and what follows from them."""
    if isinstance(part, dict):
        return {key: lasting(value) for key, value in part.items() if key not in TIMES}
    if isinstance(part, list):
        return [lasting(each) for each in part if "times the time a step" not in str(each)[:40]]
    return part


@functools.cache
def compared(folder, *words):
    """The record of forty runs, without times."""
    assert main(["compare", *REAL, "workers=2", f"dir={folder}/here", *words]) == 0
    return lasting(json.loads((folder / "here" / "compare.json").read_text()))


@SLOW
def test_forty_runs_have_the_same_report_on_every_engine(engine, tmp_path, tmp_path_factory):
    where = dict(engine)
    words = [f"engine={where.pop('engine')}", *(f"engine.{k}={v}" for k, v in where.items())]
    here = compared(tmp_path, *words)
    assert len(here["cells"]) == 40
    assert here == compared(tmp_path_factory.getbasetemp() / "reference")
