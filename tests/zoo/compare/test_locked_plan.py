"""The plan of a comparison: locked before the first run, and all that departs from it is said."""

import json
import shutil

import pytest
from invented_engine import WORDS, gap_of, install
from made_comparison import made
from read_page import Page

from zoo.cli.main import main
from zoo.compare.analysis.runs import PLANNED
from zoo.compare.design import settled
from zoo.compare.design.locked_plan import LockedPlan
from zoo.compare.design.plan import plan
from zoo.compare.design.settled import plan_of
from zoo.compare.design.spec import declare
from zoo.compare.execution.tuning_runs import Tuned
from zoo.compare.underway import Underway

SAID = "Exploratory: "


@pytest.fixture
def compare(tmp_path, monkeypatch, capsys):
    """Compares in one folder with invented runs and returns what stands at the top of reports."""
    engine = install(monkeypatch, gap_of(0.3))
    folder = tmp_path / "here"

    def act(*words, code=0):
        assert main([*WORDS, *words, f"dir={folder}"]) == code
        return top(folder, capsys.readouterr().out)

    act.folder, act.engine = folder, engine
    return act


def top(folder, out):
    """What every report says that no plan foresaw, which is the same in all of them."""
    record = json.loads((folder / "compare.json").read_text())
    page, lines = Page(folder / "report.html").text, (folder / "report.md").read_text().splitlines()
    found = record["exploratory"]
    assert all(words.startswith(SAID) and words in page for words in found)
    assert [line.removeprefix("* ") for line in lines[2 : 2 + len(found)]] == found
    assert out.splitlines()[1 : 1 + len(found)] == found
    assert page.count(SAID) == sum(SAID in line for line in lines) == len(found)
    return [words.removeprefix(SAID).removesuffix(".") for words in found]


def plan_in(folder):
    return json.loads((folder / "plan.json").read_text())


def test_the_plan_stands_before_the_first_run_and_in_every_report(compare):
    there = []
    compare.engine.before_run = lambda: there.append((compare.folder / "plan.json").is_file())
    assert compare("pairs=3") == []
    assert there == [True] * 6
    locked = plan_in(compare.folder)
    hypothesis = ["gnn, depth 2", "residual", "plain"]
    assert locked["plan"]["hypotheses"] == [hypothesis]
    record = json.loads((compare.folder / "compare.json").read_text())
    assert record["plan"]["digest"] == locked["digest"]
    for text in (
        Page(compare.folder / "report.html").text,
        (compare.folder / "report.md").read_text(),
    ):
        assert locked["digest"] in text
        assert locked["begun"] in text
        assert "gnn, depth 2: residual against plain" in text
        assert "3 pairs on 20" in text


def test_a_dry_run_locks_nothing(compare, capsys):
    assert main([*WORDS, "dry_run=true", f"dir={compare.folder}"]) == 0
    assert not (compare.folder / "plan.json").exists()
    assert not (compare.folder / "compare.json").exists()


def asked(*words):
    """What the plan of a command line settles."""
    name, options, axes = declare([*WORDS[1:], *words])
    whole = plan(options, axes)
    return plan_of(whole, Underway(name, words, options, Tuned(whole), None, None).declared)


def departures(before, after, claims):
    """What departs from a plan in another one, after a look at all of its pairs."""
    locked = LockedPlan(asked(*before), "now")
    locked.look(len(locked.plan["pairs"]), claims)
    locked.depart(asked(*after))
    return locked.departures


LEFT, ADDED = "that the plan has were left out", "were added after results were seen"


@pytest.mark.parametrize("claims", [False, True])
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["effects={gnn:0.2}"], ["smallest effects changed after the first run"]),
        (["references={gnn:2.0}"], ["references changed after the first run"]),
        (["baseline=residual"], ["baselines changed after the first run"]),
        (["pairs=auto"], ["the stopping rule changed after the first run"]),
        (["seed=0,1,3"], [f"pairs {LEFT}: 2, 4, 5, 6, 7"]),
        (["pairs=5"], [f"pairs {LEFT}: 5, 6, 7"]),
        (["model.depth=2,3"], [f"places {ADDED}: gnn, depth 3"]),
        (["model.depth=3"], [f"places {LEFT}: gnn, depth 2", f"places {ADDED}: gnn, depth 3"]),
    ],
)
def test_what_departs_from_a_plan_is_said(words, said, claims):
    assert departures([], words, claims) == said
    assert departures([], [], claims) == []


def test_other_arms_are_another_plan():
    words = ["connection=plain,rezero"]
    assert "arms changed after the first run" in departures([], words, claims=False)


def test_pairs_may_be_added_before_anything_could_be_claimed_or_where_every_look_holds():
    assert departures(["pairs=3"], ["pairs=8"], claims=False) == []
    assert departures(["pairs=8"], ["pairs=9"], claims=True) == [f"pairs {ADDED}: 8"]
    more = ["pairs=auto", "limit=40"]
    assert departures(["pairs=auto"], more, claims=True) == []


def test_what_departed_stands_on_top_of_every_report_for_ever(compare):
    assert compare("pairs=3") == []
    digest = plan_in(compare.folder)["digest"]
    said = ["smallest effects changed after the first run"]
    assert compare("pairs=3", "effects={gnn:0.2}") == said
    assert compare("pairs=3") == said  # what was seen stays seen
    assert plan_in(compare.folder)["digest"] == digest


def test_more_pairs_are_the_same_plan_until_a_verdict(compare):
    compare("pairs=3")
    assert compare("pairs=8") == []
    looks = plan_in(compare.folder)["looks"]
    assert [(look["pairs"], look["claims"]) for look in looks] == [
        (3, False),
        (5, False),
        (8, True),
    ]
    assert compare("pairs=9") == [f"pairs {ADDED}: 8"]


def test_new_code_departs_only_where_it_trains(compare, monkeypatch):
    compare("pairs=3")
    monkeypatch.setattr(settled, "code_digest", lambda: "other")
    assert compare("pairs=3") == []
    assert compare("pairs=5") == ["the code changed after the first run"]


def test_runs_that_are_lost_are_missing_from_the_plan(compare, capsys):
    score = compare.engine.score
    compare.engine.score = lambda rule, seed: (
        None if (rule, seed) == ("plain", 1) else score(rule, seed)
    )
    assert compare("pairs=3", code=7) == ["1 of 6 runs of the plan are missing"]
    compare.engine.score = score
    assert compare("pairs=3") == []


def test_a_report_compares_its_record_with_the_plan(compare, capsys):
    compare("pairs=8")
    file = compare.folder / "compare.json"
    record = json.loads(file.read_text())
    chosen = [row for row in record["cells"] if row["pair"] != 4]
    file.write_text(json.dumps({**record, "cells": chosen}))
    assert main(["report", str(compare.folder)]) == 0
    assert top(compare.folder, capsys.readouterr().out) == ["2 of 16 runs of the plan are missing"]
    record["declared"]["effects"]["gnn"] = 0.4
    file.write_text(json.dumps(record))
    assert main(["report", str(compare.folder)]) == 0
    assert top(compare.folder, capsys.readouterr().out) == [
        "smallest effects changed after the first run"
    ]


def test_every_report_is_a_look(compare, capsys):
    compare("pairs=3")
    looks = plan_in(compare.folder)["looks"]
    assert main(["report", str(compare.folder)]) == 0
    assert plan_in(compare.folder)["looks"] == looks  # it shows no more
    hidden = next(compare.folder.glob("cells/*"))
    shutil.rmtree(hidden)
    file = compare.folder / "compare.json"
    record = json.loads(file.read_text())
    rows = record["cells"]
    (lost,) = [row for row in rows if row["id"] == hidden.name]
    rows[rows.index(lost)] = {key: lost[key] for key in PLANNED}
    file.write_text(json.dumps(record))
    assert main(["report", str(compare.folder), f"dir={compare.folder.parent / 'there'}"]) == 0
    assert [look["pairs"] for look in plan_in(compare.folder)["looks"]] == [3, 2]


def test_a_plan_that_was_changed_is_refused(compare, capsys):
    compare("pairs=3")
    file = compare.folder / "plan.json"
    whole = plan_in(compare.folder)
    whole["plan"]["effects"]["gnn"] = 0.5
    for text in (json.dumps(whole), "{", "[]", '{"digest": 1}'):
        file.write_text(text)
        for words in (
            [*WORDS, "pairs=3", f"dir={compare.folder}"],
            ["report", str(compare.folder)],
        ):
            assert main(words) == 3
            line = capsys.readouterr().err.splitlines()[-1]
            assert str(file) in line
            assert "begin a comparison in another folder" in line


def test_what_an_earlier_version_left_goes_on(compare, capsys):
    compare("pairs=3")
    shutil.copy(compare.folder / "compare.json", compare.folder / "plan.json")
    assert main(["report", str(compare.folder)]) == 2
    assert "an earlier version began this comparison" in capsys.readouterr().err
    assert compare("pairs=3") == ["runs had ended before a plan was written"]
    assert main(["report", str(compare.folder)]) == 0


def test_folders_that_are_joined_or_have_no_plan_were_not_foreseen(compare, tmp_path, capsys):
    compare("pairs=3")
    other = made(tmp_path / "other", ["plain", "residual"], [("cnn", 2)], 3)
    assert main(["report", str(other)]) == 0
    assert top(other, capsys.readouterr().out) == [
        "no plan foresaw this; there is none beside the runs"
    ]
    there = tmp_path / "there"
    assert main(["report", str(compare.folder), f"dir={there}"]) == 0
    capsys.readouterr()
    assert main(["report", str(there)]) == 0  # its plan lies beside the runs
    assert top(there, capsys.readouterr().out) == []
    made(tmp_path / "third", ["plain", "residual"], [("unet", 2)], 3)
    joint = tmp_path / "joint"
    assert main(["report", str(other), str(tmp_path / "third"), f"dir={joint}"]) == 0
    assert top(joint, capsys.readouterr().out) == [
        "no plan foresaw this, which joins 2 comparisons"
    ]
