"""A folder that gives each job to one worker, and signs of life that need no common clock."""

import os
import threading
import time
from collections import Counter

from zoo.compare.execution.engine import Outcome
from zoo.compare.execution.engines.mailbox import Mailbox
from zoo.system import heartbeat


def test_every_job_is_taken_once(tmp_path):
    mailbox = Mailbox(tmp_path)
    mailbox.create()
    names = [f"{number:03}" for number in range(40)]
    for name in names:
        mailbox.ask(name, {"name": name})
    taken = []

    def work(worker):
        while job := mailbox.take(worker, lambda request: True):
            taken.append(job[0])

    threads = [threading.Thread(target=work, args=(f"w{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(taken) == Counter(names)
    assert sorted(name for name, _ in mailbox.claims()) == names


def test_a_folder_that_shows_changes_late_gives_no_job_twice(tmp_path, monkeypatch):
    """A list of names that is old leads to no job, and a reply that was lost is no failure."""
    mailbox = Mailbox(tmp_path)
    mailbox.create()
    for name in ("one", "two"):
        mailbox.ask(name, {})
    mailbox.take("first", lambda request: True)
    monkeypatch.setattr("zoo.compare.execution.engines.mailbox.names_in", lambda _: ["one", "two"])
    assert mailbox.take("second", lambda request: True) == ("two", {})
    assert mailbox.take("second", lambda request: True) is None
    assert mailbox.moved(mailbox.requests / "two", mailbox.claim("two", "second"))
    assert not mailbox.moved(mailbox.requests / "two", mailbox.claim("two", "first"))


def test_a_pulse_counts_by_what_it_holds_and_by_the_clock_of_its_reader(tmp_path, monkeypatch):
    pulse, watch = heartbeat.Pulse(tmp_path / "pulse"), heartbeat.Watch(tmp_path / "pulse")
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    watch.since = 0.0
    pulse.beat()
    assert watch.silence() == 0.0
    os.utime(tmp_path / "pulse", (2e9, 2e9))  # a clock that is wrong by years
    now[0] = heartbeat.SILENT + 1
    assert watch.is_dead()
    pulse.beat()
    assert not watch.is_dead()


def test_outcomes_keep_all_that_a_worker_said(tmp_path):
    mailbox = Mailbox(tmp_path)
    mailbox.create()
    outcome = Outcome("one", {"status": "done"}, "", "logs/a", 2.5)
    mailbox.answer("one", outcome)
    assert mailbox.outcomes() == [outcome]
    assert mailbox.outcomes() == []
