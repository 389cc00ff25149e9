"""Workers that come late, end early and begin again: what they held is done once by another."""

import os
import shutil
import signal
import sys
import time

import pytest
import stub_worker
from conftest import until
from queue_of_processes import engine_of_processes

from zoo.compare.execution.engine import Terms
from zoo.compare.execution.engines import mailbox_engine
from zoo.compare.execution.engines.array_task import ArrayTask, Shift
from zoo.compare.execution.engines.mailbox import Mailbox
from zoo.compare.execution.engines.queue import Place
from zoo.compare.execution.job import Job
from zoo.compare.execution.progress import Progress
from zoo.compare.execution.schedule import Tally, run_all
from zoo.compare.execution.store import Store
from zoo.errors import ConfigError, ResourceError
from zoo.system import heartbeat


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(mailbox_engine, "LOOK", 0.1)
    monkeypatch.setattr(mailbox_engine, "LAG", 0.3)
    monkeypatch.setattr(mailbox_engine, "PATIENCE", 0.2)
    monkeypatch.setattr(mailbox_engine, "VAIN", 3)


@pytest.fixture
def made(tmp_path):
    """Makes engines that are closed at the end."""
    engines = []

    def make(workers=1, at_once=1, seconds=60.0, **options):
        (tmp_path / "logs").mkdir(exist_ok=True)
        terms = Terms(tmp_path / "logs", workers, seconds, (stub_worker.__file__, "worker", "0"))
        engines.append(engine_of_processes(terms, at_once, **options))
        return engines[-1]

    yield make
    for engine in engines:
        engine.close()


def request(folder, name, **more):
    return {"do": "cell", "config": {"name": name}, "folder": str(folder / f".{name}"), **more}


def waited(engine, count=1):
    """Outcomes, once there are some."""
    found = []
    until(lambda: found.extend(engine.poll(0.05)) or len(found) >= count)
    return found


def holder(engine, busy):
    """The worker that has the only job and works on it."""
    until(lambda: engine.poll(0.05) or (engine.mailbox.claims() and busy.is_dir()))
    return engine.mailbox.claims()[0][1]


def test_every_end_of_a_cell_is_told_with_the_file_that_says_more(made, tmp_path):
    names = ["good0", "bad", "endless", "good1"]
    store = Store(tmp_path)
    tally = Tally.of([Job(name, {"name": name}) for name in names], store)
    run_all(tally.left, tally, store, made(2, seconds=0.5), lambda tally: None)
    assert tally.done == 2
    assert set(tally.failed) == {"bad", "endless"}
    text, _, file = tally.failed["bad"].rpartition(" (see ")
    assert text == "it is bad"
    assert (tmp_path / file.rstrip(")")).is_file()
    assert "no end after 0 s" in tally.failed["endless"]


def test_what_is_answered_is_no_longer_claimed(made, tmp_path):
    engine = made()
    engine.submit("one", request(tmp_path, "good"))
    waited(engine)
    until(lambda: not engine.mailbox.claims())


def test_a_killed_task_costs_its_job_only_and_is_replaced(made, tmp_path):
    engine = made()
    engine.submit("one", request(tmp_path, "endless"))
    holder(engine, tmp_path / ".endless")
    engine.queue.tell(signal.SIGKILL)
    assert [bool(outcome.lost) for outcome in waited(engine)] == [True]
    engine.submit("two", request(tmp_path, "good"))
    assert [(each.job, each.answer) for each in waited(engine)] == [("two", {"status": "done"})]
    assert engine.queue.count == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR2])
def test_a_task_that_must_end_hands_its_job_back(made, tmp_path, number):
    engine = made()
    engine.submit("one", request(tmp_path, "endless"))
    first = holder(engine, tmp_path / ".endless")
    engine.queue.tell(number)
    until(lambda: not engine.mailbox.claims())
    assert not (tmp_path / ".endless").exists()
    assert holder(engine, tmp_path / ".endless") != first
    assert engine.free == 0


def test_tasks_end_with_their_sender(made, tmp_path):
    engine = made(silent=0.4)
    engine.submit("one", request(tmp_path, "endless"))
    holder(engine, tmp_path / ".endless")
    engine.sender.heart.stop()
    until(lambda: all(task.poll() is not None for task in engine.queue.tasks.values()))


def test_what_a_dead_sender_left_in_the_queue_is_cancelled(made, tmp_path):
    left = tmp_path / "logs" / "slurm.here.1" / "mailbox"
    left.mkdir(parents=True)
    engine = made()
    engine.sender.open()
    assert engine.queue.cancelled == ["slurm.here.1"]
    assert not left.exists()


def test_a_sender_that_was_taken_for_dead_says_so(made, tmp_path):
    """As by the same command on another machine, while this one slept."""
    engine = made(room=0)
    engine.submit("one", request(tmp_path, "one"))
    engine.sender.lease.path.write_text('{"host": "elsewhere", "pid": 1}')
    shutil.rmtree(engine.mailbox.path)
    for act in (lambda: engine.poll(0.05), lambda: engine.submit("two", request(tmp_path, "two"))):
        with pytest.raises(ResourceError, match=r"taken for dead .* the same command continues"):
            act()


def test_a_sender_that_is_seen_to_be_dead_later_is_ended_then(made, tmp_path, monkeypatch):
    left = tmp_path / "logs" / "slurm.elsewhere.1"
    (left / "mailbox").mkdir(parents=True)
    (left / ".sender").write_text('{"host": "elsewhere", "pid": 1}')
    engine = made(room=0)
    engine.submit("one", request(tmp_path, "one"))
    assert left.joinpath("mailbox").exists()
    monkeypatch.setattr(heartbeat, "SILENT", -1.0)
    engine.poll(0.0)
    assert engine.queue.cancelled == [left.name]
    assert not left.joinpath("mailbox").exists()


def test_tasks_that_wait_are_said(made, tmp_path, capsys):
    engine = made(workers=2, room=0)
    for name in ("one", "two"):
        engine.submit(name, request(tmp_path, name))
    until(lambda: engine.poll(0.05) or engine.note)
    assert engine.note == "2 workers wait in the queue (Resources)"
    with Progress(sys.stderr) as progress:
        progress.shown = float("-inf")
        progress.show(Tally(2, {}, note=engine.note))
    assert "2 workers wait in the queue (Resources)" in capsys.readouterr().err


def test_tasks_that_never_begin_are_an_error(made, tmp_path, monkeypatch):
    engine, asked = made(), []
    monkeypatch.setattr(engine.queue, "places", lambda name: {})
    monkeypatch.setattr(engine.queue, "submit", lambda count, *_: asked.append(count))
    engine.submit("one", request(tmp_path, "one"))
    with pytest.raises(ResourceError, match="3 tasks ended before they began to work"):
        until(lambda: engine.poll(0.05))
    assert asked == [1] * mailbox_engine.BARREN


def test_a_node_that_ends_its_tasks_gets_some_only_while_others_wait_or_work(
    made, tmp_path, monkeypatch
):
    """Of four needed tasks two work, one waits, and the broken node has the fourth at once."""
    engine, asked = made(workers=4), []
    monkeypatch.setattr(engine.queue, "submit", lambda count, *_: asked.append(count))
    there = {name: Place(False) for name in "123"}
    monkeypatch.setattr(
        engine.queue, "places", lambda _: there if asked and not engine.queue.cancelled else {}
    )
    for name in "abcd":
        engine.submit(name, request(tmp_path, name))
    for worker in ("1.a", "2.b"):
        engine.mailbox.pulse(worker).beat()
    for _ in range(50):
        assert engine.tend() == []
    assert asked == [4, *[1] * 11]  # the first fourth, and eleven more
    assert engine.note == "12 tasks ended before they began to work"
    for worker in range(8):  # others begin: there are more
        engine.mailbox.pulse(f"{worker}.c").beat()
    engine.tend()
    assert engine.note == ""


def test_a_queue_that_refuses_more_tasks_ends_nothing_while_there_are_some(
    made, tmp_path, monkeypatch
):
    engine = made(workers=2)
    accept, refused = engine.queue.submit, []

    def refuse(count, *_):
        refused.append(count)
        raise ConfigError("the limit of jobs is reached", "engine=slurm", "ask for fewer")

    monkeypatch.setattr(engine.queue, "submit", refuse)
    engine.submit("long", request(tmp_path, "endless"))
    with pytest.raises(ConfigError, match="the limit of jobs"):  # the first ones
        engine.poll(0.05)
    monkeypatch.setattr(engine.queue, "submit", accept)
    holder(engine, tmp_path / ".endless")
    monkeypatch.setattr(engine.queue, "submit", refuse)
    engine.submit("short", request(tmp_path, "good"))
    until(lambda: engine.poll(0.05) or len(refused) > 5)
    assert engine.note == "the queue refuses more: the limit of jobs is reached"
    monkeypatch.setattr(engine.queue, "submit", accept)
    assert [outcome.answer for outcome in waited(engine)] == [{"status": "done"}]
    assert engine.note == ""
    monkeypatch.setattr(engine.queue, "submit", refuse)
    engine.queue.tell(signal.SIGKILL)
    assert [bool(outcome.lost) for outcome in waited(engine)] == [True]
    engine.submit("long", request(tmp_path, "endless"))
    with pytest.raises(ResourceError, match=r"refuses more: .* the same command continues"):
        until(lambda: engine.poll(0.05))


def test_a_queue_that_does_not_answer_is_said_and_asked_for_tasks_at_first(made, tmp_path):
    engine = made()
    engine.queue.places = lambda name: None
    engine.submit("one", request(tmp_path, "one"))
    until(lambda: engine.poll(0.05) or engine.note == "the queue does not answer")
    assert engine.queue.count == 1


def test_a_mailbox_has_an_owner_before_others_can_see_it(made, monkeypatch):
    engine, owned = made(), []
    take = engine.sender.lease.take
    monkeypatch.setattr(
        engine.sender.lease, "take", lambda: owned.append(engine.mailbox.path.exists()) or take()
    )
    engine.sender.open()
    assert owned == [False]


def shift(tmp_path, minutes=60.0, age=1000.0):
    """A task that began some seconds ago."""
    mailbox = Mailbox(tmp_path / "mailbox")
    mailbox.create()
    made = Shift(ArrayTask(Terms(tmp_path, 1), minutes, mailbox=mailbox.path), "7")
    for name in ("began", "latest", "over"):
        setattr(made, name, getattr(made, name) - age)
    return made


def test_a_task_leaves_jobs_that_are_longer_than_its_rest_to_others(tmp_path):
    old, new = shift(tmp_path), shift(tmp_path, age=0.0)
    short, long = ({"estimate": seconds} for seconds in (600.0, 3000.0))
    assert old.fits(short)
    assert not old.fits(long)
    assert not old.fits({"runs": [short] * 5})
    assert new.fits(long)  # no other has more time
    assert old.fits({"do": "measure"})


def test_a_task_ends_at_once_where_its_rest_is_too_short(tmp_path):
    old = shift(tmp_path)
    old.mailbox.pulse().beat()
    old.take()
    assert old.is_wanted()
    old.mailbox.ask("long", {"estimate": 3000.0})
    old.jobs["other"] = {}
    assert not old.take()
    old.looked = time.monotonic()
    assert old.is_wanted()  # for the job that it has
    del old.jobs["other"]
    assert not old.is_wanted()
    assert os.listdir(old.mailbox.requests) == ["long"]


@pytest.mark.parametrize(
    ("minutes", "age", "known"), [(60, 3550, 1), (2, 35, 1), (1, 5, 1), (60, 3000, 0), (2, 25, 0)]
)
def test_a_job_for_which_no_task_is_long_enough_is_lost(minutes, age, known, tmp_path):
    """Slurm says up to a minute early that time is over, which in small ones comes soon."""
    late = shift(tmp_path, minutes, age)
    for name in ("first", "later"):
        late.mailbox.ask(name, {"estimate": None})
        late.mailbox.take(late.name, lambda request: True)
        late.jobs[name], late.since[name] = {}, time.monotonic()
    late.first.add("first")
    late.hand_back("first")
    late.hand_back("later")
    outcomes = late.mailbox.outcomes()
    assert [outcome.job for outcome in outcomes] == ["first"] * known
    assert all(f"(engine.time={minutes}: give more)" in outcome.lost for outcome in outcomes)
    assert sorted(os.listdir(late.mailbox.requests)) == ["first", "later"][known:]


def test_a_job_that_was_handed_back_needs_a_task_with_more_time(tmp_path):
    """Where its estimate is unknown, or too short, old tasks may not hand it on for ever."""
    late, old = shift(tmp_path, age=3500.0), shift(tmp_path, age=2500.0)
    late.mailbox.ask("one", {"estimate": None})
    assert old.mailbox.take(late.name, old.fits)
    late.jobs["one"], late.since["one"] = {"estimate": None}, time.monotonic() - 1000.0
    late.hand_back("one")
    assert old.mailbox.take(old.name, old.fits) is None
    name, request = old.mailbox.take("new", shift(tmp_path, age=0.0).fits)
    assert (name, request["estimate"]) == ("one", None)


def test_a_worker_that_was_given_up_ends_without_an_answer(tmp_path):
    given_up = shift(tmp_path, age=0.0)
    given_up.mailbox.ask("one", {})
    given_up.mailbox.take(given_up.name, lambda request: True)
    given_up.jobs["one"] = {}
    assert given_up.is_wanted()
    given_up.mailbox.forget("one", given_up.name)
    given_up.looked = float("-inf")
    assert not given_up.is_wanted()
    assert not given_up.jobs
