"""Runs that hang or lose a process end with one line, all of them, their stacks in the log."""

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from conftest import until
from forked import speak, start
from tiny_runs import words

from tasks.recovery.watchdog import Watchdog
from zoo.cli.main import main

GIVEN = ["trainer.max_steps=100000", "trainer.accelerator=cpu", "trainer.hang_seconds=4"]


def hangs(name, call, words, err):
    """A command of whose task a method does not return from one of its calls."""
    from tasks.cnn.task import ImageClassification
    from tasks.recovery import watchdog

    method, calls = getattr(ImageClassification, name), itertools.count(1)

    def hanging(self, *given):
        if next(calls) == call:
            threading.Event().wait()
        return method(self, *given)

    setattr(ImageClassification, name, hanging)
    watchdog.TIMES = watchdog.GRACE = 1.0
    speak(words, err)


def fit(folder, *given):
    return ["fit", *words("cnn", *GIVEN, *given), f"run.dir={folder}"]


def children(pid):
    return [int(c) for c in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def the_error(said):
    (line,) = [line for line in said.splitlines() if "error" in line.lower()]
    assert "Traceback" not in said
    return line


@pytest.mark.fault(35)
@pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")
def test_a_process_lost_before_the_first_step_is_told(tmp_path):
    run = tmp_path / "run"
    command = [sys.executable, "-m", "zoo", *fit(run, "trainer.devices=2")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        until(lambda: children(process.pid))
        os.kill(children(process.pid)[0], signal.SIGKILL)
        line = the_error(process.communicate()[1])
    assert process.returncode == 6
    assert "process 1 of 2 was lost (signal 9) at the start" in line
    assert json.loads((run / "result.json").read_text())["status"] == "failed"
    assert not (run / ".writer").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")
@pytest.mark.parametrize(
    ("number", "said", "strategy"),
    [
        (signal.SIGSTOP, "no answer from process 1", "ddp"),
        *(  # `test_kills` and the test above lose processes too
            pytest.param(signal.SIGKILL, "1 of 2 was lost (signal 9)", kind, marks=pytest.mark.slow)
            for kind in ("ddp", "fsdp")
        ),
    ],
)
@pytest.mark.fault(35)
def test_a_lost_or_frozen_process_ends_all_of_them(number, said, strategy, tmp_path):
    run = tmp_path / "run"
    given = ["trainer.devices=2", f"trainer.strategy={strategy}"]
    command = [sys.executable, "-m", "zoo", *fit(run, *given)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        rows = run / "metrics.jsonl"
        until(lambda: rows.is_file() and len(rows.read_text().splitlines()) > 2)
        (other,) = children(process.pid)
        os.kill(other, number)
        line = the_error(process.communicate()[1])
    assert process.returncode == 6
    assert said in line
    assert "after step" in line
    assert f"fit from={run}" in line
    until(lambda: gone(other))
    assert json.loads((run / "result.json").read_text())["status"] == "failed"
    if number == signal.SIGSTOP:
        log = (run / "log.txt").read_text()
        assert "(most recent call first)" in log.partition("process 0 of 2: no step for")[2]


@pytest.mark.parametrize(
    ("name", "call", "when", "steps"),
    [
        ("loss", 1, "at the start", 0),
        ("loss", 4, "after step 3", 3),
        ("eval_sums", 1, "after step 4 (validation)", 4),
        ("final_metrics", 1, "after step 4 (evaluation)", 4),
    ],
)
@pytest.mark.fault(35)
def test_a_run_that_hangs_ends_with_its_stacks_in_the_log(name, call, when, steps, tmp_path):
    run, told = tmp_path / "run", tmp_path / "told.txt"
    given = ["trainer.validate_every=4", "trainer.max_steps=4"]
    process = start(hangs, name, call, fit(run, *given), told)
    process.join()
    line = the_error(told.read_text())
    assert process.exitcode == 6
    assert "no step for" in line
    assert f"s {when} --" in line
    assert " in hanging\n" in (run / "log.txt").read_text()
    assert json.loads((run / "result.json").read_text())["steps"] == steps
    assert not (run / ".writer").exists()


@pytest.mark.fault(37)
@pytest.mark.parametrize(
    ("seconds", "phases", "limit"),
    [
        (None, ["start"], 1800),
        (None, ["step", "step", "validation"], 1800),
        (None, ["step", "step", "validation", "step"], 60),
        (None, ["step", "checkpoint", "step", "checkpoint", "step"], 60),
        (None, ["step", "step", "checkpoint"], 1800),
        (None, ["step", "step", "validation", "step", "validation"], 60),
        (None, ["step", "step", "evaluation"], 1800),
        (7, ["start"], 70),
        (7, ["step"], 7),
        (7, ["step", "validation"], 70),
        (7, ["step", "validation", "step"], 7),
        (7, ["step", "validation", "step", "validation"], 7),
        (7, ["step", "checkpoint"], 70),
        (7, ["evaluation"], 70),
        (0, ["step", "step"], None),
    ],
)
def test_how_long_a_run_may_be_silent(seconds, phases, limit):
    watchdog = Watchdog(seconds, None, print)
    for phase in phases:
        watchdog.enter(phase)
    assert watchdog.limit() == limit


def test_slow_steps_and_validations_may_take_ten_times_as_long(monkeypatch):
    now = iter([0, 0, 30, 60, 90, 290, 320])
    monkeypatch.setattr("time.perf_counter", lambda: next(now))
    watchdog = Watchdog(None, None, print)
    limits = []
    for phase in ("step", "step", "step", "validation", "step", "validation"):
        watchdog.enter(phase)
        limits.append(watchdog.limit())
    assert limits == [1800, 300, 300, 1800, 300, 2000]


@pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")
def test_a_run_that_is_alive_is_not_continued_and_a_killed_one_is(tmp_path, capsys):
    run = tmp_path / "run"
    process = start(speak, fit(run), os.devnull)
    try:
        rows = run / "metrics.jsonl"
        until(lambda: rows.is_file() and rows.read_text())
        before = (run / "config.yaml").read_bytes()
        for given in (["fit", f"from={run}"], fit(run)):  # it has no checkpoint yet
            assert main(given) == 2
            assert f"process {process.pid} on" in capsys.readouterr().err
        assert (run / "config.yaml").read_bytes() == before
    finally:
        process.kill()
        process.join()
    assert main(["fit", f"from={run}", "trainer.max_steps=4"]) == 0
    assert not (run / ".writer").exists()
