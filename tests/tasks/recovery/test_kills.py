"""A run that was killed and went on is the run that nothing stopped, file by file."""

import json
import random
import signal

import pytest
from kills import LOST, PLACES, TWO, Blow, chain, launched, unequal, whole, world_of
from tiny_runs import words

TERM, INT = signal.SIGTERM, signal.SIGINT
OPTIONS = {
    "gnn": "model.dropout=0.5 task.drop_edge=0.3 model.norm=batch trainer.ema=0.9 "
    "trainer.accumulate=2 trainer.clip=1.0",
    "transformer": "model.dropout=0.2 trainer.ema=0.9 trainer.accumulate=2 trainer.clip=1.0",
    "cnn": "task.mixup=0.4 task.flip=true task.cutout=2 optimizer=sgd optimizer.schedule=cosine",
    "unet": "model.dropout=0.2 task.flip=true task.rotate=true trainer.ema=0.9",
    "diffusion": "model.dropout=0.2 task.sample_every=4 trainer.ema=0.9 trainer.clip=1.0",
}
SAVED = "run.id=killed trainer.validate_every=3 trainer.log_every=2"
SAVED += " trainer.max_steps=12 trainer.save_minutes="


def given(task, minutes, *more):
    return words(task, OPTIONS[task], f"{SAVED}{minutes}", *more)


@pytest.fixture(scope="module")
def often(tmp_path_factory):
    """A whole run of the GNN that saves a checkpoint after every step."""
    home = tmp_path_factory.mktemp("often")
    whole(given("gnn", 0), home)
    return home


CHAINS = {
    "before the first checkpoint": [Blow("create"), Blow("config"), Blow("batch", 1, True)],
    "within a validation": [Blow("validation", 1), Blow("row", 5), Blow("offer", 1, True)],
    "within a write": [Blow("pickle", 90), Blow("write", 20), Blow("sums", 9), Blow("save", 3)],
    "between digests": [Blow("sums", 21), Blow("sums", 1)],
    "between renames": [Blow("rename", 13), Blow("link", 2, True), Blow("rename", 6, True)],
    "while it goes on": [Blow("step", 4), Blow("load"), Blow("forget", 0, True), Blow("config")],
    "in the last evaluation": [Blow("evaluation"), Blow("evaluation", 0, True)],
    "before it is done": [Blow("weights", 0, True), Blow("figures"), Blow("result")],
    "by signals": [Blow("step", 2, number=TERM), Blow("step", 3, number=INT)],
    "in its last step": [Blow("batch", 22, number=TERM)],
    "at once": [Blow("row", 4, number=TERM, times=2), Blow("save", 2, number=INT, times=2)],
}


MORE = ("within a write", "between digests", "in its last step")  # see `test_checkpoints.py`
NAMES = [pytest.param(name, marks=pytest.mark.slow) if name in MORE else name for name in CHAINS]


@pytest.mark.fault(28)
@pytest.mark.parametrize("name", NAMES)
def test_every_file_is_that_of_the_whole_run(name, often):
    codes = chain(given("gnn", 0), often, CHAINS[name])
    assert len(codes) == len(CHAINS[name]) + 1, "a blow did not fall"
    assert unequal(often) == []


def test_a_run_that_patience_ended_ends_there_again(tmp_path):
    more = "trainer.patience=4 trainer.validate_every=2 trainer.max_steps=60 optimizer.lr=0.3"
    run = whole(given("gnn", 0, more), tmp_path)
    result = json.loads((run / "result.json").read_text())
    last = result["steps"]
    assert result["best_step"] + 4 == last < 60
    blows = [Blow("step", last - 1, True), Blow("evaluation"), Blow("weights")]
    assert len(chain(given("gnn", 0, more), tmp_path, blows)) == 4
    assert unequal(tmp_path) == []


def test_a_seldom_saved_run_starts_again_and_ends_alike(tmp_path):
    whole(given("transformer", 60), tmp_path)
    chain(given("transformer", 60), tmp_path, [Blow("step", 9), Blow("step", 5, number=TERM)])
    assert unequal(tmp_path) == []


def test_a_run_that_returns_to_an_earlier_step_is_killed_on_its_way(tmp_path):
    """Batch 11 is lost in step 11; from step 9 on the run goes without batches 10 and 11."""
    lost = given("cnn", 60, "trainer.on_nonfinite=rollback", f"{LOST}10")
    whole(lost, tmp_path)
    blows = [Blow("edit"), Blow("rename", 2), Blow("edit", 0, True), Blow("batch", 1, True)]
    assert len(chain(lost, tmp_path, blows)) == 5
    assert unequal(tmp_path) == []
    (event,) = json.loads((tmp_path / "run" / "result.json").read_text())["events"]
    assert (event["kind"], event["to"], event["batches"]) == ("rollback", 9, [10, 11])


def test_two_processes_are_killed_and_go_on(tmp_path):
    """The first and the second one fall; a signal to the second one ends both after its step."""
    two = given("gnn", 0, *TWO)
    whole(two, tmp_path)
    blows = [Blow("rename", 9), Blow("step", 3, rank=1), Blow("step", 2, number=INT, rank=1)]
    assert chain(two, tmp_path, blows) == [-9, 6, 130, 0]
    assert unequal(tmp_path) == []


def random_blows(draws, counts, count, world):
    """Blows at places and calls that a whole run has, by the three signals."""
    found = []
    for _ in range(count):
        place = draws.choice([name for name in PLACES if counts[name]])
        number = draws.choice([signal.SIGKILL, signal.SIGKILL, TERM, INT])
        call, after = draws.randrange(counts[place]), draws.random() < 0.5
        times, rank = draws.choice([1, 1, 1, 2]), draws.randrange(world)
        found.append(Blow(place, call, after, number, times, rank))
    return found


SKIP, BACK = (f"{LOST}10 trainer.on_nonfinite={policy}" for policy in ("skip", "rollback"))
PLANS = [(task, minutes, "") for task in OPTIONS for minutes in (0, 0.0005, 60)]
PLANS += [(task, 0.0005, SKIP) for task in ("cnn", "unet", "diffusion")]
PLANS += [(task, minutes, BACK) for task in ("cnn", "diffusion") for minutes in (0, 60)]
PLANS += [("gnn", minutes, " ".join(TWO)) for minutes in (0, 60)]
PLANS += [("cnn", 0, " ".join([*TWO, more])) for more in (SKIP, BACK)]


@pytest.mark.soak
@pytest.mark.parametrize(("task", "minutes", "more"), PLANS)
def test_kills_at_random(task, minutes, more, tmp_path, capsys):
    """Ten interruptions for each plan: tasks, rates of saving, lost steps, two processes."""
    draws = random.Random(f"{task}{minutes}{more}")
    words = given(task, minutes, more)
    whole(words, tmp_path, tmp_path / "counts")
    files = {place: tmp_path / f"counts.{place}" for place in PLACES}
    counts = {place: file.stat().st_size if file.exists() else 0 for place, file in files.items()}
    counts |= {"load": 1, "forget": 1}
    ends = []
    while sum(code != 0 for code in ends) < 10:
        blows = random_blows(draws, counts, 4, world_of(words))
        codes = chain(words, tmp_path, blows)
        ends += codes
        with capsys.disabled():
            print(f"\n{task} {minutes} {more}: {codes} {unequal(tmp_path) or 'equal'}")
        assert unequal(tmp_path) == [], blows


@pytest.mark.soak
def test_kills_of_two_processes_of_which_one_starts_the_other(tmp_path, capsys):
    two = given("gnn", 0, *TWO)
    whole(two, tmp_path)
    plans = [
        [Blow("step", 4), Blow("rename", 20), Blow("step", 3, number=TERM)],
        [Blow("step", 5, rank=1), Blow("step", 2, number=INT, rank=1), Blow("evaluation")],
        [Blow("row", 3), Blow("pickle", 50, True), Blow("result")],
    ]
    for blows in plans:
        codes = chain(two, tmp_path, blows, launched)
        with capsys.disabled():
            print(f"\ntwo processes: {codes} {unequal(tmp_path) or 'equal'}")
        assert unequal(tmp_path) == [], blows
