"""The engine on a real Slurm of one node, which the test starts: python -m pytest -m slow."""

import os
import signal
import subprocess

import pytest
import stub_worker
from conftest import until
from real_slurm import real_slurm, why_absent

from zoo.compare.execution.engine import Terms
from zoo.compare.execution.engines import mailbox_engine
from zoo.compare.execution.engines.slurm import SlurmEngine
from zoo.errors import ConfigError

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(why_absent()), reason=why_absent())]
STUB = stub_worker.__file__


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A Slurm with four places."""
    with real_slurm(tmp_path_factory.mktemp("slurm")) as slurm, pytest.MonkeyPatch.context() as mp:
        for name, value in slurm.env.items():
            mp.setenv(name, value)
        mp.setattr(mailbox_engine, "LOOK", 0.5)
        mp.setattr(mailbox_engine, "LAG", 2.0)
        yield slurm


@pytest.fixture
def made(cluster, tmp_path):
    """Makes engines that are closed at the end, when nothing of them is left."""
    engines = []

    def make(workers=1, **options):
        (tmp_path / "logs").mkdir(exist_ok=True)
        terms = Terms(tmp_path / "logs", workers, 600.0, (STUB, "worker", "0"))
        engines.append(SlurmEngine(terms, **options))
        return engines[-1]

    yield make
    for engine in engines:
        engine.close()
        assert cluster.jobs() == {}
        assert not engine.mailbox.path.exists()
    assert processes(tmp_path) == []


def processes(folder):
    """The numbers of processes whose command lines name a folder."""
    listed = subprocess.run(["ps", "-ewwo", "pid,args"], capture_output=True, text=True).stdout
    return [int(line.split()[0]) for line in listed.splitlines() if str(folder) in line]


def begun(engine, folder, *names):
    """Submits endless cells; the tasks that have them, once all are at work."""
    for name in names:
        run = str(folder / f".{name}")
        engine.submit(name, {"do": "cell", "config": {"name": "endless"}, "folder": run})
    return holders(engine, folder, *names)


def holders(engine, folder, *names):
    """The tasks that have the cells of some names, once all are at work."""

    def all_run():
        assert engine.poll(0.1) == []
        at_work = all((folder / f".{name}").is_dir() for name in names)
        return at_work and len(engine.mailbox.claims()) == len(names)

    until(all_run)
    names_of = {engine.jobs[name]: worker for name, worker in engine.mailbox.claims()}
    return [names_of[name] for name in names]


def test_a_task_that_is_put_back_in_line_hands_its_job_over(cluster, made, tmp_path):
    """Slurm lets it wait for two minutes."""
    engine = made(2)
    one, two = begun(engine, tmp_path, "one", "two")
    cluster.ask("scontrol", "requeue", mailbox_engine.task_of(one))
    until(lambda: one not in [worker for _, worker in engine.mailbox.claims()])
    now = holders(engine, tmp_path, "one", "two")
    assert now[1] == two
    assert mailbox_engine.task_of(now[0]) == mailbox_engine.task_of(one)
    assert now[0] != one


def test_a_task_that_is_cancelled_is_replaced(cluster, made, tmp_path):
    engine = made(2)
    one, two = begun(engine, tmp_path, "one", "two")
    cluster.ask("scancel", mailbox_engine.task_of(one))
    until(lambda: one not in [worker for _, worker in engine.mailbox.claims()])
    now = holders(engine, tmp_path, "one", "two")
    assert now[1] == two
    assert mailbox_engine.task_of(now[0]) != mailbox_engine.task_of(one)


def test_a_task_that_is_killed_costs_its_job(made, tmp_path):
    engine = made()
    [one] = begun(engine, tmp_path, "one")
    for number in processes(engine.logs):
        os.kill(number, signal.SIGKILL)
    outcomes = []
    until(lambda: outcomes.extend(engine.poll(0.5)) or outcomes)
    assert [outcome.job for outcome in outcomes] == ["one"]
    assert mailbox_engine.task_of(one) in outcomes[0].lost
    assert engine.free == 1


def test_a_job_that_is_longer_than_a_task_is_lost(made, tmp_path):
    engine = made(1, time=1)
    begun(engine, tmp_path, "one")
    outcomes = []
    until(lambda: outcomes.extend(engine.poll(0.5)) or outcomes)
    assert "a whole task of Slurm (engine.time=1: give more)" in outcomes[0].lost


def test_tasks_for_which_there_is_no_room_are_said_to_wait(made, tmp_path):
    engine = made(6)
    for name in map(str, range(6)):
        run = str(tmp_path / f".{name}")
        engine.submit(name, {"do": "cell", "config": {"name": "endless"}, "folder": run})
    until(lambda: engine.poll(0.1) or engine.note == "2 workers wait in the queue (Resources)")


def test_a_task_does_several_jobs_at_once(made, tmp_path):
    engine = made(4, cpus=4)
    assert len(set(begun(engine, tmp_path, *"abcd"))) == 1


def test_what_slurm_refuses_is_said_in_one_line(made, tmp_path):
    engine = made(1, partition="nowhere")
    engine.submit("one", {"do": "cell", "config": {"name": "good"}, "folder": str(tmp_path / "a")})
    with pytest.raises(ConfigError, match=r"^invalid partition specified: nowhere -- engine=slurm"):
        engine.poll(0.1)
