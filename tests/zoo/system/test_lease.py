"""Who may write in a folder: one living process, and the next one once it is dead."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading

import pytest
from forked import start

import zoo.system.lease as lease_file
from zoo.errors import ConfigError
from zoo.system.atomic import remove_partial_files
from zoo.system.lease import STALE, Lease, only_writer

HOLDS = """
import sys
from pathlib import Path
from zoo.system.lease import Lease
lease = Lease(Path(sys.argv[1]))
print(lease.take(), flush=True)
sys.stdin.read()
"""
COUNTS = """
import sys
from pathlib import Path
from zoo.system.lease import Lease
folder, taken = Path(sys.argv[1]), 0
while taken < 50:
    lease = Lease(folder / "lease")
    if lease.take() is None:
        count = folder / "count"
        count.write_text(str(int(count.read_text()) + 1))
        lease.release()
        taken += 1
"""


@pytest.fixture
def holder(tmp_path):
    command = [sys.executable, "-c", HOLDS, str(tmp_path / ".writer")]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout.readline() == "None\n"
        yield process
        process.kill()


@pytest.mark.fault(37)
def test_a_living_writer_is_named_and_a_dead_one_followed(holder, tmp_path):
    with (
        pytest.raises(ConfigError, match=f"process {holder.pid} on .* is writing"),
        only_writer(tmp_path),
    ):
        pass
    holder.send_signal(signal.SIGSTOP)  # it may wake up again
    os.utime(tmp_path / ".writer", (0, 0))
    assert Lease(tmp_path / ".writer").take()["pid"] == holder.pid
    holder.kill()
    holder.wait()
    with only_writer(tmp_path):
        assert json.loads((tmp_path / ".writer").read_text())["pid"] == os.getpid()
    assert list(tmp_path.iterdir()) == []


def test_a_writer_on_another_machine_lives_while_it_gives_signs(tmp_path):
    path = tmp_path / ".writer"
    path.write_text(json.dumps({"host": "elsewhere", "pid": 1}))
    assert Lease(path).take()["host"] == "elsewhere"
    old = path.stat().st_mtime - STALE - 1
    os.utime(path, (old, old))
    lease = Lease(path)
    assert lease.take() is None
    os.utime(path, (old, old))
    assert lease.beat()
    assert path.stat().st_mtime > old + STALE
    lease.release()


def test_a_full_disk_is_named_and_leaves_no_lease(tmp_path, monkeypatch):
    def full(number):
        raise OSError(errno.ENOSPC, "No space left on device")

    lease = Lease(tmp_path / "lease")
    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="lease'"):
            lease.take()
    assert not list(tmp_path.iterdir())
    assert lease.take() is None
    lease.release()


def test_a_lease_that_another_machine_took_over_is_left_to_it(tmp_path):
    lease = Lease(tmp_path / ".writer")
    assert lease.take() is None
    theirs = json.dumps({"host": "elsewhere", "pid": 1})
    lease.path.write_text(theirs)
    os.utime(lease.path, (0, 0))
    assert not lease.beat()
    assert lease.path.stat().st_mtime == 0
    lease.release()
    assert lease.path.read_text() == theirs


def sleeps(folder, err):
    """Works in a folder whose lease another machine takes meanwhile."""
    os.dup2(os.open(err, os.O_RDWR | os.O_CREAT), 2)
    lease_file.BEAT = 0.01
    with only_writer(folder):
        (folder / ".writer").write_text(json.dumps({"host": "elsewhere", "pid": 1}))
        threading.Event().wait()


@pytest.mark.fault(37)
def test_a_process_that_lost_its_lease_ends(tmp_path):
    process = start(sleeps, tmp_path, tmp_path / "stderr")
    process.join()
    assert process.exitcode == 6
    (line,) = (tmp_path / "stderr").read_text().splitlines()
    assert line.startswith("zoo: error: ")
    assert str(tmp_path) in line
    assert "elsewhere" in (tmp_path / ".writer").read_text()


@pytest.mark.fault(21)
def test_processes_that_race_for_a_lease_have_it_one_after_the_other(tmp_path):
    (tmp_path / "count").write_text("0")
    command = [sys.executable, "-c", COUNTS, str(tmp_path)]
    racers = [subprocess.Popen(command) for _ in range(3)]
    assert [racer.wait() for racer in racers] == [0, 0, 0]
    assert (tmp_path / "count").read_text() == "150"


@pytest.mark.parametrize("text", ["", "{", "[1]"])
def test_a_lease_that_was_not_written_to_its_end_is_free(text, tmp_path):
    (tmp_path / ".writer").write_text(text)
    with only_writer(tmp_path):
        pass


def test_a_lease_is_for_all_whom_the_users_mask_allows(tmp_path):
    """Who shares a folder must be able to read it, and to follow a dead owner."""
    before = os.umask(0o002)
    try:
        lease = Lease(tmp_path / "lease")
        assert lease.take() is None
        assert lease.path.stat().st_mode & 0o777 == 0o664
        lease.release()
    finally:
        os.umask(before)
    assert list(tmp_path.iterdir()) == []


def test_a_lease_can_be_waited_for_while_its_owner_sweeps_the_folder(tmp_path, monkeypatch):
    link = os.link

    def late(name, path):
        remove_partial_files(tmp_path)
        link(name, path)

    monkeypatch.setattr(os, "link", late)
    lease = Lease(tmp_path / "lease")
    assert lease.take() is None
    assert lease.ours()
    lease.release()
    assert not [*tmp_path.iterdir()]
