"""Runs that hang or lose a process end with one line, all of them, their stacks in the log."""

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

from zoo.cli import main

GIVEN = ["trainer.max_steps=100000", "trainer.accelerator=cpu", "trainer.hang_seconds=4"]


def hangs(words, err):
    """A command whose ninth step does not end."""
    from tasks.cnn import ImageClassification

    loss, seen = ImageClassification.loss, []

    def hanging(self, batch):
        seen.append(batch)
        if len(seen) == 9:
            threading.Event().wait()
        return loss(self, batch)

    ImageClassification.loss = hanging
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
@pytest.mark.parametrize(
    ("number", "said"),
    [
        (signal.SIGKILL, "process 1 of 2 was lost (signal 9)"),
        (signal.SIGSTOP, "no answer from process 1"),
    ],
)
def test_a_lost_or_frozen_process_ends_all_of_them(number, said, tmp_path):
    run = tmp_path / "run"
    command = [sys.executable, "-m", "zoo", *fit(run, "trainer.devices=2")]
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


def test_a_run_that_hangs_in_a_step_ends_with_its_stacks_in_the_log(tmp_path):
    run, told = tmp_path / "run", tmp_path / "told.txt"
    process = start(hangs, fit(run), told)
    process.join()
    line = the_error(told.read_text())
    assert process.exitcode == 6
    assert "no step for" in line
    assert "after step 8" in line
    assert " in hanging\n" in (run / "log.txt").read_text()
    assert json.loads((run / "result.json").read_text())["steps"] == 8


@pytest.mark.fault(37)
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
