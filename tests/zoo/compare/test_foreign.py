"""Comparisons of a program that is not ours, through the command line."""

import csv
import json
import os
import random
import re
import shlex
import signal
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from conftest import until
from engine_places import process_lives
from read_page import Page

from tasks.worker.command import run_command
from zoo.cli.main import main
from zoo.compare.analysis import signs
from zoo.compare.analysis.analyse import place_summaries
from zoo.compare.analysis.record import Declared
from zoo.compare.analysis.runs import Run
from zoo.compare.design.command import Defaults
from zoo.compare.design.foreign import design
from zoo.compare.execution.engine import Terms
from zoo.compare.execution.engines.local import LocalEngine
from zoo.errors import DataError

README = Path(__file__).parents[3] / "zoo" / "compare" / "README.md"
PROGRAM = """
import json, os, random, signal, sys

seed, arm, depth = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
with open("ran", "a") as file:
    print(seed, arm, depth, file=file)
draws = random.Random(f"{seed} {arm}")
score = 0.6 + draws.gauss(0, 0.01) + (0.1 * depth / 8 if arm == "tall" else 0)
said = {"accuracy": score, "loss": 1 - score}
said["outcomes"] = [score - 0.1, score + 0.1] * 25
if arm in ("nan", "null") and seed % 2:
    said["accuracy"] = float("nan") if arm == "nan" else None
if arm == "broken":
    sys.exit(f"no weights for {seed}")
if arm == "silent":
    sys.exit()
if arm in ("killed", "crashed"):
    os.kill(os.getpid(), signal.SIGKILL if arm == "killed" else signal.SIGTERM)
if arm == "unlike":
    said["outcomes"] = [0, 1]
if arm == "verbal":
    said["accuracy"] = "high"
if arm == "other":
    del said["accuracy"]
print("epoch 1")
print("a warning", file=sys.stderr)
print("done" if arm == "chatty" else json.dumps(said))
"""
COMMAND = "command=python program.py {seed} {arm} {depth}"
WORDS = [COMMAND, "metric=accuracy", "workers=2", "mirror=false"]
TWO = [*WORDS, "arms=short,tall", "depth=1,8", "effect=0.02", "chance=0.1", "dir=two"]


@pytest.fixture(scope="module")
def room():
    """Has commands of a module run where a folder holds the program."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        yield patch


@pytest.fixture
def here(room, tmp_path):
    """A folder with the program, from which commands run."""
    room.chdir(tmp_path)
    (tmp_path / "program.py").write_text(PROGRAM)
    return tmp_path


@pytest.fixture(scope="module")
def compared(room, tmp_path_factory):
    """A comparison of two arms at two depths, of which one is really better where it is deep."""
    home = tmp_path_factory.mktemp("compared")
    room.chdir(home)
    (home / "program.py").write_text(PROGRAM)
    assert main(["compare", *TWO, "pairs=8"]) == 0
    return home


def record_of(folder):
    return json.loads((folder / "compare.json").read_text())


def score(seed, arm, depth):
    """What the program says, by its own formula."""
    noise = random.Random(f"{seed} {arm}").gauss(0, 0.01)
    return 0.6 + noise + (0.1 * depth / 8 if arm == "tall" else 0)


def test_verdicts_follow_from_what_the_program_printed(compared):
    record = record_of(compared / "two")
    assert [place["title"] for place in record["places"]] == [
        "program, depth 1",
        "program, depth 8",
    ]
    for place in record["places"]:
        (contrast,) = place["contrasts"]
        expected = [
            score(seed, "tall", place["depth"]) - score(seed, "short", place["depth"])
            for seed in range(8)
        ]
        assert contrast["differences"] == pytest.approx(expected)
        assert contrast["beyond_p"] == signs.difference_p(expected, 0.02)
    shallow, deep = (place["contrasts"][0]["verdict"] for place in record["places"])
    assert deep == "tall better"
    assert "better" not in shallow
    assert record["slopes"][0]["verdict"] == "grows with depth"


def test_all_reports_are_there_and_say_what_was_not_checked(compared):
    folder = compared / "two"
    page, text = Page(folder / "report.html").text, (folder / "report.md").read_text()
    for report in (page, text):
        assert "tall better" in report
        assert "paired by the seed alone" in report
        assert "files that the command does not name goes unseen" in report
        for untrue in ("none was tuned", "last step", "by their digests"):
            assert untrue not in report
    assert "training accuracy" in page
    assert COMMAND.removeprefix("command=") in page
    figures = {path.stem for path in (folder / "figures").iterdir()}
    assert {"score", "gaps"} <= figures
    assert "curves" not in figures
    with (folder / "cells.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 32
    assert {row["parameters"] for row in rows} == {""}
    assert "MFLOPs" in text
    assert "| program, depth 8 | tall | 8 of 8 | none |  |  |  |" in text


def test_the_report_can_be_written_again(compared):
    def lines():
        return (compared / "two" / "report.md").read_text().splitlines()

    before = lines()
    assert main(["report", str(compared / "two")]) == 0
    other = [line for line, known in zip(lines(), before, strict=True) if line != known]
    methods = "The plan was locked at"
    assert [line.partition(":")[0] for line in other[:2]] == ["* Plan", "* Looks at the results"]
    assert [line.startswith(methods) for line in other[2:]] == [True]


def test_nothing_is_run_twice_and_more_pairs_run_only_those(compared, room, capsys):
    room.chdir(compared)
    ran = (compared / "ran").read_text().splitlines()
    assert len(ran) == len(set(ran)) == 32
    assert main(["--json", "compare", *TWO, "pairs=9", "dry_run=true"]) == 0
    assert len(json.loads(capsys.readouterr().out)["cells"]) == 36
    assert main(["compare", *TWO, "pairs=9"]) == 0
    more = (compared / "ran").read_text().splitlines()[32:]
    assert sorted(more) == ["8 short 1", "8 short 8", "8 tall 1", "8 tall 8"]


def test_a_run_has_its_log_its_result_and_the_outcome_of_each_example(compared):
    record = record_of(compared / "two")
    for run in record["cells"][:4]:
        folder = compared / "two" / "cells" / run["id"]
        assert "epoch 1" in (folder / "log.txt").read_text()
        assert "a warning" in (folder / "log.txt").read_text()
        result = json.loads((folder / "result.json").read_text())
        assert result["command"] == run["command"]
        with np.load(folder / "outcomes.npz") as content:
            expected = [run["value"] - 0.1, run["value"] + 0.1] * 25
            assert content["test"].tolist() == pytest.approx(expected)
        assert run["examples"] == 50
        assert run["value"] == result["metrics"]["accuracy"] == 1 - result["metrics"]["loss"]


def test_a_dry_run_lists_the_runs_and_knows_no_time_before_one_has_ended(here, capsys):
    words = [*WORDS, "arms=a,b", "depth=1", "pairs=2", "dir=dry"]
    assert main(["compare", *words, "dry_run=true"]) == 0
    text = capsys.readouterr().out
    assert text.count("time not known") == 5
    assert main(["--json", "compare", *words, "dry_run=true"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed["seconds"] is None
    commands = [run["command"] for run in listed["cells"]]
    assert commands[:2] == ["python program.py 0 a 1", "python program.py 0 b 1"]
    assert not (here / "ran").exists()


@pytest.fixture(scope="module")
def lost(room, tmp_path_factory):
    """A comparison in which arms fail or end without a number, each in its own way."""
    home = tmp_path_factory.mktemp("lost")
    room.chdir(home)
    (home / "program.py").write_text(PROGRAM)
    arms = "arms=good,nan,null,broken,silent,verbal,other,chatty,killed,crashed,unlike"
    assert main(["compare", *WORDS, arms, "depth=1", "pairs=2", "dir=lost"]) == 7
    return home


@pytest.mark.parametrize(
    ("arm", "status", "reason"),
    [
        ("good", "done", ""),
        ("nan", "diverged", "accuracy is NaN"),
        ("null", "diverged", "accuracy is null"),
        ("broken", "failed", "exit code 1: no weights for 1"),
        ("silent", "failed", "it has no output, no JSON object"),
        ("verbal", "failed", 'accuracy is "high", no number'),
        ("other", "failed", "its last line has no accuracy"),
        ("killed", "failed", "the program was killed"),
        ("crashed", "failed", "signal 15"),
        ("unlike", "failed", "and the mean of the outcomes 0.5"),
        ("chatty", "failed", "its output ends with 'done', no JSON object"),
    ],
)
def test_each_way_to_end_has_its_word(lost, arm, status, reason):
    runs = record_of(lost / "lost")["cells"]
    (run,) = [run for run in runs if run["arm"] == arm and run["pair"] == 1]
    assert run["status"] == status
    assert reason in run["reason"]
    if status == "failed":
        (log,) = re.findall(r"\(see (logs/.*)\)", run["reason"])
        assert f"program.py 1 {arm} 1" in (lost / "lost" / log).read_text()


def test_only_what_was_lost_is_tried_again(lost):
    times = Counter(tuple(line.split()[:2]) for line in (lost / "ran").read_text().splitlines())
    assert len(times) == 22
    assert {arm for (_, arm), count in times.items() if count > 1} == {"killed"}
    assert times["0", "killed"] == times["1", "killed"] == 3


def test_without_chance_a_run_without_a_number_blocks_the_verdict(lost):
    record = record_of(lost / "lost")
    verdicts = {c["arm"]: c["verdict"] for c in record["places"][0]["contrasts"]}
    assert verdicts["nan"] == "blocked: 1 of 2 pairs diverged, and chance is not known"
    text = Page(lost / "lost" / "report.html").text
    assert "2 of 22 runs ended without a number, which blocks their" in text
    assert "count as chance" not in text.replace("they would count as chance", "")


def test_with_chance_it_counts_as_chance_and_as_a_failure_to_train(here):
    words = [*WORDS, "arms=good,nan", "depth=1", "pairs=16", "chance=0.1", "dir=chance"]
    assert main(["compare", *words]) == 0
    record = record_of(here / "chance")
    (contrast,) = record["places"][0]["contrasts"]
    assert contrast["pairs"] == 16
    assert contrast["untrained"] == [8, 0]
    assert contrast["failures"].startswith("nan fails to train more often: nan 8 of 16")
    values = {run["pair"]: run["value"] for run in record["cells"] if run["arm"] == "nan"}
    assert all((value == 0.1) == bool(pair % 2) for pair, value in values.items())


def test_the_example_of_the_readme(room, tmp_path, capsys):
    room.chdir(tmp_path)
    section = README.read_text().partition("## A script of your own")[2]
    name = re.search(r"`(\w+\.py)`", section)[1]
    (tmp_path / name).write_text(re.search(r"```python\n(.*?)```", section, re.DOTALL)[1])
    command = re.search(r"```sh\n(.*?)```", section, re.DOTALL)[1]
    words = shlex.split(command.replace("\\\n", " "))
    assert words[:3] == ["python", "-m", "zoo"]
    assert main(words[3:]) == 0
    said = re.search(r"says `(.*?)`", section)[1]
    assert said in capsys.readouterr().out
    assert (tmp_path / "runs" / "centre" / "report.html").is_file()


def ids(*words):
    """The addresses of the runs of a command."""
    _, _, plan = design([*words, "pairs=1"])
    return [cell.id("") for cell in plan.cells]


def test_an_address_follows_from_words_values_metric_and_files(here):
    (here / "small.json").write_text("1")
    (here / "out-0.txt").write_text("1")
    (here / "lab").mkdir()
    (here / "lab" / "net.py").write_text("1")
    command = (
        "command=python program.py --config={arm}.json -m lab.net {seed} out-{seed}.txt {rate}"
    )
    words = [command, "metric=accuracy", "arms=small,large", "rate=1"]
    first = ids(*words)
    assert ids(*words) == first
    (here / "out-0.txt").write_text("what a run wrote")
    assert ids(*words) == first
    changed = [
        [command, "metric=f1", "arms=small,large", "rate=1"],
        [command, "metric=accuracy", "arms=small,large", "rate=2"],
        [f"{command} --fast", "metric=accuracy", "arms=small,large", "rate=1"],
        [*words, "chance=0.5"],
    ]
    for other in changed:
        assert not {*ids(*other)} & {*first}
    (here / "small.json").write_text("2")
    assert [a == b for a, b in zip(first, ids(*words), strict=True)] == [False, True]
    (here / "lab" / "net.py").write_text("2")
    assert not {*ids(*words)} & {*first}


def test_a_command_has_one_recipe_however_it_is_spaced(here):
    def recipes(command):
        _, _, plan = design([f"command={command}", "metric=f1", "arms=a,b", "pairs=2"])
        return [cell.recipe for cell in plan.cells]

    first = recipes("python program.py {arm} {seed}")
    assert recipes("python  'program.py' {arm}   {seed}") == first
    assert not {*recipes("python program.py {seed} {arm}")} & {*first}


def test_a_command_of_the_same_name_in_another_folder_is_noted(here):
    def notes(folder, *words):
        assert main(["compare", *WORDS, "depth=1", "pairs=3", *words, f"dir={folder}"]) == 0
        events = json.loads((here / folder / "plan.json").read_text())["events"]
        return [event["words"] for event in events if event["kind"] != "look"]

    assert notes("one", "arms=short,tall") == []
    with (here / "program.py").open("a") as file:
        file.write("# a comment\n")
    said = "a command of the same name, arms and metric was seen in one"
    assert notes("two", "arms=short,tall") == [said]
    assert notes("three", "arms=short,second") == ["results of these runs were seen in two"]


def test_depths_of_an_arm_share_their_recipe_and_arms_do_not(here):
    command = "command=python program.py {arm} {seed} {depth} {rate}"
    _, _, plan = design([command, "metric=f1", "arms=a,b", "depth=1,2", "rate=0.1,0.2", "pairs=2"])
    recipes = {(cell.arm, cell.place.family, cell.recipe) for cell in plan.cells}
    assert len(recipes) == 4
    assert [place.title() for place in plan.deepest] == [
        "program, depth 2, rate 0.1",
        "program, depth 2, rate 0.2",
    ]


def test_a_file_that_changed_since_the_plan_ends_the_run(here):
    _, _, plan = design([COMMAND, "metric=accuracy", "arms=a,b", "depth=1"])
    (here / "program.py").write_text(f"{PROGRAM}\n")
    with pytest.raises(DataError, match=r"program\.py has changed since the comparison began"):
        run_command(plan.cells[0].config.plain(), str(here / "run"))
    assert not (here / "ran").exists()


def test_a_value_is_one_word_of_the_command_whatever_it_holds(here):
    (here / "echo.py").write_text("import json, sys; print(json.dumps({'n': len(sys.argv[1])}))")
    words = ["command=python echo.py '{arm}: {seed}'", "metric=n", "arms='a; b','$(c)'"]
    _, _, plan = design(words)
    cell = plan.cells[0]
    assert run_command(cell.config.plain(), str(here / "run")) == {"status": "done"}
    result = json.loads((here / "run" / "result.json").read_text())
    assert result["primary"]["value"] == len("a; b: 0")
    assert shlex.split(cell.command_line(Defaults())) == ["python", "echo.py", "a; b: 0"]


def test_values_are_passed_as_they_are_written(here):
    words = ["command=python program.py {arm} {seed} {depth} {v}", "metric=f1", "arms=nan,True"]
    _, _, plan = design([*words, "depth=1,2", "v=1.10,007,'a,b'", "pairs=1", "baseline=True"])
    lines = [shlex.split(cell.command_line(Defaults()))[2:] for cell in plan.cells]
    assert lines[:2] == [["nan", "0", "1", "1.10"], ["True", "0", "1", "1.10"]]
    assert {line[-1] for line in lines} == {"1.10", "007", "a,b"}
    assert plan.baselines == {"nan": "True"}
    assert {place.depth for place in plan.places} == {1, 2}


def test_a_program_and_its_children_end_with_its_worker_however_that_ends(here):
    (here / "waits.py").write_text(
        "import os, signal, subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'])\n"
        "open(f'pid{sys.argv[1]}', 'x').write(f'{os.getpid()} {child.pid} ')\n"
        "signal.pause()\n"
    )
    _, _, plan = design(["command=python waits.py {seed} {arm}", "metric=x", "arms=a,b"])
    first, second = (cell.config.plain() for cell in plan.cells[::2][:2])
    engine = LocalEngine(Terms(here, 2))
    for name, config in (("first", first), ("second", second)):
        request = {"do": "command", "config": config, "folder": str(here / name)}
        engine.submit(name, request)
    files = [here / "pid0", here / "pid1"]
    until(lambda: all(file.exists() and file.read_text().endswith(" ") for file in files))
    programs = [[int(pid) for pid in file.read_text().split()] for file in files]
    by_job = {worker.job: worker for worker in engine.alive.values()}
    by_job["first"].process.process.send_signal(signal.SIGKILL)
    lost = []
    try:
        until(lambda: lost.extend(engine.poll(0.1)) or lost)
        assert [outcome.job for outcome in lost] == ["first"]
        until(lambda: not any(map(process_lives, programs[0])), seconds=20)
        assert all(map(process_lives, programs[1]))
        engine.close()
        until(lambda: not any(map(process_lives, programs[1])), seconds=20)
    finally:
        for pid in filter(process_lives, [*programs[0], *programs[1]]):
            os.kill(pid, signal.SIGKILL)


def run_of(arm, pair, value):
    return Run(place="x", task="x", family="x", depth=None, settings={}, arm=arm, pair=pair,
               seed=pair, id=f"{arm}{pair}", command="", status="done", metric="m",
               higher_is_better=True, value=value)  # fmt: skip


def test_eight_copies_of_one_run_prove_nothing():
    declared = Declared(arms={"a": {}, "b": {}}, baselines={"b": "a"}, scripts={"x": "x"})

    def verdict(values):
        runs = [run_of("a", i, 0.5) for i in range(8)]
        runs += [run_of("b", i, value) for i, value in enumerate(values)]
        (place,) = place_summaries(runs, declared)
        return place.contrasts[0].verdict

    assert verdict([0.7] * 8) == "blocked: no seed changes any score; does the program use it?"
    assert verdict([0.7, 0.7]) == "b ahead in 2 of 2"
    assert verdict([*[0.7] * 7, 0.71]) == "b better"


GOOD = ["metric=accuracy", "arms=a,b", "depth=1"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["command=python program.py {arm}", *GOOD], "the command has no {seed}"),
        (["command=python program.py {seed}", *GOOD], "the command has no {arm}"),
        ([f"{COMMAND} {{width}}", *GOOD], "nothing stands for {width}"),
        ([f"{COMMAND} {{pairs}}", *GOOD], "{pairs} is the name of an option"),
        ([f"{COMMAND} 'x", *GOOD], "no closing quotation"),
        (["command=", *GOOD], "the command has no {seed}"),
        ([COMMAND, COMMAND, *GOOD], "there are two commands"),
        ([COMMAND.replace("python", "pythn"), *GOOD], "there is no program 'pythn'"),
        ([COMMAND, "metric=accuracy", "depth=1"], "fewer than two arms"),
        ([COMMAND, "metric=accuracy", "arms=a", "depth=1"], "fewer than two arms"),
        ([COMMAND, "metric=accuracy", "arms=a,a", "depth=1"], "arms has a twice"),
        ([COMMAND, "metric=accuracy", "arm=a,b", "depth=1"], "did you mean arms?"),
        ([COMMAND, "arms=a,b", "depth=1"], "no metric is named"),
        (
            [COMMAND, "metric=val_loss", "arms=a,b", "depth=1"],
            "whether a larger val_loss is better",
        ),
        ([COMMAND, *GOOD, "task=gnn"], "unknown option task beside a command"),
        ([COMMAND, *GOOD, "compare=cora"], "unknown option compare beside a command"),
        ([COMMAND, *GOOD, "metrics=x"], "did you mean metric?"),
        ([COMMAND, *GOOD, "width=3"], "write {width} in the command"),
        ([COMMAND, *GOOD, "baseline=c"], "choose from a, b"),
        ([COMMAND, *GOOD, "effect=-1"], "greater than or equal to 0"),
        ([COMMAND, *GOOD, "chance=low"], "chance='low' is refused"),
        ([COMMAND, *GOOD, "pairs=2", "seed=0,1"], "give one of the two"),
        ([COMMAND, *GOOD, "seed=x"], "integers of at least 0"),
        ([COMMAND, *GOOD, "pairs=9000"], "more than 2000"),
        (
            [f"{COMMAND} {{n}}", *GOOD[:2], "depth=range(1,9000)", "n=range(1,9000)"],
            "more than 2000",
        ),
    ],
)
def test_mistakes_are_one_line(words, said, here, capsys):
    assert main(["compare", *words, "dir=no"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert said in line
    assert line.count(" -- ") == 2
    assert not (here / "no").exists()
