"""Who may write in a folder: one living process, and the next one once it is dead."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from forked import start

from zoo.errors import ConfigError
from zoo.system import heartbeat
from zoo.system.atomic import remove_partial_files
from zoo.system.heartbeat import Pulse, Watches
from zoo.system.lease import Lease, sign_of, sweep
from zoo.system.one_writer import exclusive, only_writer

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
    assert Lease(tmp_path / ".writer").take()["pid"] == holder.pid
    holder.kill()
    holder.wait()
    with only_writer(tmp_path):
        assert json.loads((tmp_path / ".writer").read_text())["pid"] == os.getpid()
    assert list(tmp_path.iterdir()) == []


class Elsewhere:
    """A process on another machine that has the lease of a folder, while this one waits for it.

    Args:
        folder: that it writes in.
        beats: whether it gives a sign of life whenever this process waits.
    """

    def __init__(self, folder, beats, monkeypatch):
        owner = {"host": "elsewhere", "pid": 1}
        (folder / ".writer").write_text(json.dumps(owner))
        self.pulse, self.beats, self.now = Pulse(sign_of(owner, folder)), beats, 0.0
        self.pulse.beat()
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr(time, "sleep", self.wait)

    def wait(self, seconds):
        self.now += seconds
        assert self.now < 1000, "it is never taken for dead"
        if self.beats:
            self.pulse.beat()
        for path in self.pulse.path.parent.iterdir():  # what their clocks say is nothing
            os.utime(path, (2e9, 2e9) if self.now % 1 else (0, 0))


@pytest.mark.fault(37)
def test_a_writer_on_another_machine_is_known_by_its_signs(tmp_path, monkeypatch, capsys):
    elsewhere = Elsewhere(tmp_path, True, monkeypatch)
    with (
        pytest.raises(ConfigError, match="process 1 on elsewhere is writing"),
        only_writer(tmp_path),
    ):
        pass
    assert elsewhere.now < 1
    assert "or for 120 s without a sign of it" in capsys.readouterr().err


@pytest.mark.fault(37)
@pytest.mark.parametrize("context", [only_writer, exclusive])
def test_a_dead_writer_on_another_machine_is_followed(context, tmp_path, monkeypatch):
    elsewhere = Elsewhere(tmp_path, False, monkeypatch)
    with context(tmp_path):
        assert 120 < elsewhere.now < 121
        assert json.loads((tmp_path / ".writer").read_text())["pid"] == os.getpid()
        assert not elsewhere.pulse.path.exists()
    assert list(tmp_path.iterdir()) == []


def test_leases_that_share_what_they_see_judge_an_owner_together(tmp_path, monkeypatch):
    elsewhere, watches = Elsewhere(tmp_path, False, monkeypatch), Watches()
    (tmp_path / "other").write_text((tmp_path / ".writer").read_text())
    assert Lease(tmp_path / ".writer", watches).take()["host"] == "elsewhere"
    elsewhere.now = 121.0
    assert Lease(tmp_path / ".writer").take()["host"] == "elsewhere"
    other = Lease(tmp_path / "other", watches)
    assert other.take() is None
    other.release()


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
    assert not lease.beat()
    assert [*tmp_path.iterdir()] == [lease.path]
    lease.release()
    assert lease.path.read_text() == theirs


def sleeps(folder, err):
    """Works in a folder whose lease another machine takes meanwhile."""
    os.dup2(os.open(err, os.O_RDWR | os.O_CREAT), 2)
    heartbeat.BEAT = 0.01
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


@pytest.mark.parametrize("swept", [remove_partial_files, sweep])
def test_a_lease_can_be_taken_while_others_sweep_the_folder(swept, tmp_path, monkeypatch):
    link = os.link

    def late(name, path):
        swept(tmp_path)
        link(name, path)

    monkeypatch.setattr(os, "link", late)
    lease = Lease(tmp_path / "lease")
    assert lease.take() is None
    assert lease.ours()
    lease.release()
    assert not [*tmp_path.iterdir()]
