"""The plan of a comparison: locked before the first run, and all that departs from it is said."""

import copy
import csv
import functools
import json
import os
import re
import shutil
from datetime import datetime
from pathlib import Path

import pytest
from invented_engine import WORDS, gap_of, install
from made_comparison import made
from read_page import Page

from zoo.cli.main import main
from zoo.compare.analysis.runs import PLANNED
from zoo.compare.analysis.verdict import needed
from zoo.compare.design import settled
from zoo.compare.design.cell import digest
from zoo.compare.design.locked_plan import LockedPlan, read
from zoo.compare.design.plan import plan
from zoo.compare.design.spec import declare
from zoo.compare.design.tuning import tuned_options
from zoo.compare.execution.tuning_runs import Tuned
from zoo.compare.report import foresee
from zoo.compare.underway import Underway
from zoo.errors import DataError

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


def looks_in(folder):
    """The pairs of every look at a folder's results."""
    return [e["pairs"] for e in plan_in(folder)["events"] if e["kind"] == "look"]


def test_the_plan_stands_before_the_first_run_and_in_every_report(compare):
    there = []
    compare.engine.before_run = lambda: there.append((compare.folder / "plan.json").is_file())
    assert compare("pairs=3") == []
    assert there == [True] * 6
    locked = plan_in(compare.folder)
    hypothesis = ["gnn, depth 2", "residual", "plain"]
    assert locked["plan"]["hypotheses"] == [hypothesis]
    record = json.loads((compare.folder / "compare.json").read_text())
    assert record["plan"]["head"] == locked["digest"]
    for text in (
        Page(compare.folder / "report.html").text,
        (compare.folder / "report.md").read_text(),
    ):
        assert locked["digest"] in text
        assert record["plan"]["digest"] in text
        assert locked["begun"] in text
        assert "gnn, depth 2: residual against plain" in text
        assert "3 pairs on 20" in text


def test_a_dry_run_locks_nothing(compare, capsys):
    assert main([*WORDS, "dry_run=true", f"dir={compare.folder}"]) == 0
    assert not (compare.folder / "plan.json").exists()
    assert not (compare.folder / "compare.json").exists()


def asked(*words):
    """What the plan of a command line settles."""
    return copy.deepcopy(settled_by(*words))


@functools.cache
def settled_by(*words):
    """The same, planned once."""
    name, options, axes = declare([*WORDS[1:], *words])
    whole = plan(options, axes)
    tuned = Tuned(whole, tuned_options(options, whole, axes))
    return Underway(name, words, options, tuned, None, None).settled


def departures(before, after, claims=None, seen=None):
    """What departs from a plan in another one, after a look, or before any where `claims` is None.

    A change that is no departure becomes the plan.
    """
    locked = LockedPlan(asked(*before), "now")
    if claims is not None:
        locked.look(seen or len(locked.plan["pairs"]), claims)
    locked.depart(asked(*after))
    if not locked.departures:
        assert locked.plan == asked(*after)
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
        (["seed=0,1,3"], [f"pairs {LEFT}: 2, 4, 5, 6 and 7"]),
        (["pairs=5"], [f"pairs {LEFT}: 5, 6 and 7"]),
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


@pytest.mark.parametrize("pairs", ["pairs=2", "pairs=60", "seed=5,7,1", "pairs=auto"])
def test_before_the_first_look_any_pairs_are_the_plan(pairs):
    assert departures(["pairs=8"], [pairs]) == []


@pytest.mark.parametrize("hypotheses", [1, 5, 7, 10])
def test_after_a_look_that_could_not_claim_one_number_alone_is_no_choice(hypotheses):
    plan = asked("pairs=3")
    plan["hypotheses"] *= hypotheses

    def departs(pairs):
        locked = LockedPlan(plan, "now")
        locked.look(3, claims=False)
        locked.depart({**plan, "pairs": [*range(pairs)]})
        return locked.departures

    free = [pairs for pairs in range(2, 61) if not departs(pairs)]
    assert free == [3, needed(hypotheses)]


def test_no_pairs_may_change_after_a_look_that_could_claim_or_where_there_were_enough():
    assert departures(["pairs=3"], ["pairs=8"], claims=True) == [f"pairs {ADDED}: 3, 4, 5, 6 and 7"]
    assert departures(["pairs=8"], ["pairs=9"], claims=False, seen=3) == [f"pairs {ADDED}: 8"]
    lower = departures(["pairs=9"], ["pairs=8"], claims=False, seen=3)
    assert lower == [f"pairs {LEFT}: 8"]
    other = departures(["seed=0,1,2"], ["seed=1,2,3,4,5,6,7,8"], claims=False)
    assert other == [f"pairs {LEFT}: 0", f"pairs {ADDED}: 3, 4, 5, 6, 7 and 8"]


def test_where_every_look_holds_any_limit_will_do():
    more = ["pairs=auto", "limit=40"]
    assert departures(["pairs=auto"], more, claims=True) == []
    assert departures(more, ["pairs=auto"], claims=True) == []


def test_what_departed_stands_on_top_of_every_report_for_ever(compare):
    assert compare("pairs=3") == []
    plan = plan_in(compare.folder)["plan"]
    said = ["smallest effects changed after the first run"]
    assert compare("pairs=3", "effects={gnn:0.2}") == said
    assert compare("pairs=3") == said  # what was seen stays seen
    assert plan_in(compare.folder)["plan"] == plan


def test_more_pairs_are_the_same_plan_until_a_verdict(compare):
    compare("pairs=3")
    assert compare("pairs=8") == []
    events = plan_in(compare.folder)["events"]
    assert [(e["kind"], e.get("pairs"), "claims" in e) for e in events] == [
        ("look", 3, False),
        ("change", None, False),
        ("look", 5, False),
        ("look", 8, True),
    ]
    assert "3 pairs became 8" in Page(compare.folder / "report.html").text
    assert compare("pairs=9") == [f"pairs {ADDED}: 8"]


def test_new_code_departs_only_where_it_trains(compare, monkeypatch):
    compare("pairs=3")
    monkeypatch.setattr(settled, "code_digest", lambda: "other")
    assert compare("pairs=3") == []
    assert compare("pairs=8") == ["the code changed after the first run"]


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
    assert main(["report", str(compare.folder)]) == 0
    assert looks_in(compare.folder) == [3, 3]  # who looks again may choose again
    hidden = next(compare.folder.glob("cells/*"))
    shutil.rmtree(hidden)
    file = compare.folder / "compare.json"
    record = json.loads(file.read_text())
    rows = record["cells"]
    (lost,) = [row for row in rows if row["id"] == hidden.name]
    rows[rows.index(lost)] = {key: lost[key] for key in PLANNED}
    file.write_text(json.dumps(record))
    assert main(["report", str(compare.folder), f"dir={compare.folder.parent / 'there'}"]) == 0
    assert looks_in(compare.folder) == [3, 3, 2]


def test_a_look_that_cannot_be_noted_is_said_and_departs_all_the_same(compare, capsys):
    compare("pairs=3")
    before = plan_in(compare.folder)
    record = json.loads((compare.folder / "compare.json").read_text())
    record["declared"]["effects"]["gnn"] = 0.4
    (compare.folder / "compare.json").write_text(json.dumps(record))
    (compare.folder / ".writer").mkdir()  # so that none can write
    assert main(["report", str(compare.folder)]) == 0
    out, err = capsys.readouterr()
    assert top(compare.folder, out) == ["smallest effects changed after the first run"]
    assert f"{compare.folder / 'plan.json'} does not note this look: " in err
    assert plan_in(compare.folder) == before


def test_reports_show_how_many_looks_there_were_and_not_all_of_them(compare):
    compare("pairs=3")
    many = LockedPlan(plan_in(compare.folder)["plan"], plan_in(compare.folder)["begun"])
    for pairs in range(1, 201):
        many.look(pairs, claims=False)
    (compare.folder / "compare.json").unlink()  # of a plan without so many looks
    many.write(compare.folder)
    compare("pairs=3")
    assert looks_in(compare.folder) == [*range(1, 201), 3]
    (line,) = [line for line in (compare.folder / "report.md").read_text().splitlines()
               if line.startswith("* Looks at the results: ")]  # fmt: skip
    assert line.startswith("* Looks at the results: 201 (1 pairs on 20")
    assert re.findall(r"(\d+) pairs on", line) == ["1", "2", "3", "199", "200", "3"]


def edited(change):
    """A change of the whole content of a plan's file."""

    def act(whole):
        change(whole["events"])
        return whole

    return act


def downgraded(whole):
    """A file as earlier versions wrote it, with the history that one would like."""
    return {"digest": digest(whole["plan"]), "plan": whole["plan"], "begun": whole["begun"],
            "looks": [], "departures": []}  # fmt: skip


EDITS = {
    "the last event is gone": edited(lambda events: events.pop()),
    "the first event is gone": edited(lambda events: events.pop(0)),
    "no event is left": edited(lambda events: events.clear()),
    "two events are swapped": edited(lambda events: events.insert(0, events.pop(1))),
    "a look saw fewer pairs": edited(lambda events: events[0].update(pairs=2)),
    "a look was earlier": edited(lambda events: events[0].update(time="2020-01-01")),
    "a departure has other words": edited(lambda events: events[1].update(words="nothing")),
    "a departure is a note": edited(lambda events: events[1].update(kind="note")),
    "an event is added": edited(lambda events: events.append(events[0])),
    "another effect": lambda whole: whole["plan"]["effects"].update(gnn=0.5) or whole,
    "an earlier begin": lambda whole: whole | {"begun": "2020-01-01T00:00:00+00:00"},
    "another digest": lambda whole: whole | {"digest": digest(whole["plan"])},
    "another kind of event": edited(lambda events: events[0].update(kind="dream")),
    "events are no list": lambda whole: whole | {"events": 3},
    "an earlier version": downgraded,
}


def test_a_plan_or_a_history_that_was_changed_is_refused(compare, tmp_path):
    compare("pairs=3")
    compare("pairs=3", "effects={gnn:0.2}")
    whole = plan_in(compare.folder)
    assert [event["kind"] for event in whole["events"]] == ["look", "departure", "look"]
    alone = tmp_path / "alone"  # without a report that knows the digest
    alone.mkdir()
    for name, edit in EDITS.items():
        text = json.dumps(edit(copy.deepcopy(whole)))
        for folder in (compare.folder, alone):
            (folder / "plan.json").write_text(text)
            if (name, folder) != ("an earlier version", alone):
                with pytest.raises(DataError, match=r"is not the one|no plan of"):
                    read(folder)
    (alone / "plan.json").write_text(json.dumps(whole))
    assert read(alone).looks


@pytest.mark.parametrize("text", ["{", "[]", '{"digest": 1}', '{"plan": [], "events": []}', ""])
def test_what_is_no_plan_is_one_line(text, compare, capsys):
    compare("pairs=3")
    file = compare.folder / "plan.json"
    changed = json.dumps(EDITS["another effect"](plan_in(compare.folder)))
    file.write_text(text or changed)
    for words in ([*WORDS, "pairs=3", f"dir={compare.folder}"], ["report", str(compare.folder)]):
        assert main(words) == 3
        line = capsys.readouterr().err.splitlines()[-1]
        assert str(file) in line
        assert "begin a comparison in another folder" in line


def test_a_plan_that_is_put_back_to_an_earlier_one_is_refused(compare, capsys):
    compare("pairs=3")
    shutil.copy(compare.folder / "plan.json", compare.folder / "backup")
    compare("pairs=8")
    shutil.copy(compare.folder / "backup", compare.folder / "plan.json")
    assert main(["report", str(compare.folder)]) == 3
    assert "the plan is not the one that was locked" in capsys.readouterr().err


def test_a_plan_that_began_at_another_time_is_refused(compare, capsys):
    """Such as that of another folder, digest and all."""
    compare("pairs=3")
    plan = plan_in(compare.folder)["plan"] | {"effects": {"gnn": 0.1}}
    LockedPlan(plan, "2026-01-01T00:00:00+00:00").write(compare.folder)
    assert main(["report", str(compare.folder)]) == 3
    assert "the plan is not the one that was locked" in capsys.readouterr().err
    assert main([*WORDS, "pairs=3", "effects={gnn:0.1}", f"dir={compare.folder}"]) == 3


def test_a_plan_that_is_younger_than_a_result_was_written_late(compare, capsys):
    assert compare("pairs=3") == []
    oldest = min(compare.folder.glob("cells/*/result.json"))
    begun = datetime.fromisoformat(plan_in(compare.folder)["begun"]).timestamp()
    os.utime(oldest, (begun, begun))
    assert compare("pairs=3") == []
    os.utime(oldest, (begun - 1, begun - 1))
    said = ["runs had ended before a plan was written"]
    assert main(["report", str(compare.folder)]) == 0
    assert top(compare.folder, capsys.readouterr().out) == said
    assert compare("pairs=3") == said
    assert [e["kind"] for e in plan_in(compare.folder)["events"]].count("departure") == 1


def test_each_event_is_bound_to_all_before_it(compare):
    compare("pairs=8")
    whole = plan_in(compare.folder)
    head = digest({"plan": whole["plan"], "begun": whole["begun"]})
    assert len(whole["events"]) == 3
    for event in whole["events"]:
        head = digest({"before": head, **event})
    assert whole["digest"] == head


def test_a_plan_stays_where_its_runs_were_removed(compare):
    compare("pairs=3")
    shutil.rmtree(compare.folder / "cells")
    said = ["smallest effects changed after the first run"]
    assert compare("pairs=3", "effects={gnn:0.2}") == said
    for name in ("cells", "compare.json"):
        path = compare.folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert compare("pairs=3") == said
    assert looks_in(compare.folder) == [3, 3, 3]
    shutil.rmtree(compare.folder / "cells")
    (compare.folder / "plan.json").unlink()
    assert compare("pairs=3") == ["runs had ended before a plan was written"]  # the record knows


def test_a_plan_without_results_may_be_another_one(compare):
    compare.engine.score = lambda rule, seed: None
    compare("pairs=3", code=7)
    assert plan_in(compare.folder)["events"] == []
    compare.engine.score = gap_of(0.3)
    assert compare("pairs=3", "effects={gnn:0.2}") == []
    assert plan_in(compare.folder)["plan"]["effects"]["gnn"] == 0.2


def beside(compare, name, *words):
    """Compares in a folder beside the usual one; what its plan notes, and what departs there."""
    there = compare.folder.parent / name
    assert main([*WORDS, *words, f"dir={there}"]) == 0
    events = plan_in(there)["events"]
    return [[e["words"] for e in events if e["kind"] == kind] for kind in ("departure", "note")]


SEEN = "results of these runs were seen in here"


@pytest.mark.parametrize(
    ("words", "apart"),
    [
        (["effects={gnn:0.2}"], "smallest effects"),
        (["model.depth=2,3"], "places added"),
        (["connection=plain,residual,rezero"], "arms and baselines"),
        (["pairs=5"], "pairs added"),
        (["seed=1,2"], "pairs left out"),
        (["pairs=auto"], "the stopping rule"),
        (["effects={gnn:0.2}", "seed=0,1"], "smallest effects and pairs left out"),
    ],
)
def test_another_plan_in_another_folder_for_what_was_seen_departs(words, apart, compare):
    compare("pairs=3")
    words = words if "pairs" in str(words) or "seed" in str(words) else [*words, "pairs=3"]
    assert beside(compare, "there", *words) == [[f"{SEEN} by another plan: {apart}"], []]
    record = json.loads((compare.folder.parent / "there" / "compare.json").read_text())
    assert record["exploratory"] == [f"{SAID}{SEEN} by another plan: {apart}."]
    assert plan_in(compare.folder)["events"][-1]["kind"] == "look"  # nothing departs there


@pytest.mark.parametrize(
    "words",
    [
        ["pairs=3"],
        ["pairs=8"],
        ["pairs=8", "connection=plain,rezero"],
        ["noise=true", "pairs=4"],
    ],
)
def test_a_repetition_in_another_folder_is_noted_and_so_are_runs_of_one_arm(words, compare):
    compare("pairs=3")
    assert beside(compare, "there", *words) == [[], [SEEN]]


def test_folders_that_saw_the_same_stand_in_one_sentence(compare):
    compare("pairs=2")
    beside(compare, "there", "pairs=2", "effects={gnn:0.2}")
    said = f"{SEEN} and there by another plan: smallest effects"
    assert beside(compare, "third", "pairs=2", "effects={gnn:0.3}") == [[said], []]


def test_seeds_that_were_picked_by_the_runs_of_one_arm_depart(compare):
    compare("pairs=8")
    words = ["connection=plain,rezero", "seed=2,5,7"]
    said = [[f"{SEEN} by another plan: seeds that were picked"], []]
    assert beside(compare, "there", *words) == said


def test_pairs_that_change_before_a_look_may_have_been_seen_elsewhere(compare):
    def interrupted(rule, seed):
        raise KeyboardInterrupt

    there = compare.folder.parent / "there"
    compare.engine.score = lambda rule, seed: 0.5 if seed == 0 else interrupted(rule, seed)
    words = [*WORDS, f"dir={there}"]
    assert main([*words, "pairs=8"]) == 130
    compare.engine.score = gap_of(0.3)
    compare("pairs=8")
    assert main([*words, "pairs=5"]) == 0
    kinds = [(e["kind"], e.get("words")) for e in plan_in(there)["events"]]
    said = f"{SEEN} by another plan: pairs left out"
    assert kinds[:2] == [("change", "8 pairs became 5"), ("departure", said)]


def test_the_same_gaps_with_other_seeds_are_noted(compare):
    compare("pairs=3")
    said = "the same gaps with other seeds were seen in here"
    assert beside(compare, "there", "seed=8,9,10") == [[], [said]]


@pytest.mark.parametrize("words", [["pairs=3", "optimizer.lr=0.1"], ["pairs=3", "model.depth=3"],
                                   ["seed=8,9", "connection=plain,rezero"]])  # fmt: skip
def test_runs_that_no_other_folder_has_were_not_seen(words, compare):
    compare("pairs=3")
    assert beside(compare, "there", *words) == [[], []]


def test_a_folder_beside_counts_where_results_were_seen_and_its_plan_can_be_read(compare):
    compare("pairs=3")
    file = compare.folder / "plan.json"
    whole = plan_in(compare.folder)
    LockedPlan(whole["plan"], whole["begun"]).write(compare.folder)
    (compare.folder / "compare.json").unlink()
    assert beside(compare, "first", "pairs=3", "effects={gnn:0.2}") == [[], []]
    shutil.rmtree(compare.folder.parent / "first")
    file.write_text("{")
    assert beside(compare, "second", "pairs=3", "effects={gnn:0.2}") == [[], []]


def test_other_statistics_depart_after_results_were_seen(compare, monkeypatch, capsys):
    compare.engine.score = lambda rule, seed: None
    compare("pairs=3", code=7)
    compare.engine.score = gap_of(0.3)
    assert plan_in(compare.folder)["plan"]["statistics"] == settled.statistics_digest()
    compare("pairs=3")
    for module in (settled, foresee):
        monkeypatch.setattr(module, "statistics_digest", lambda: "other")
    said = ["the statistics changed after results were seen"]
    assert main(["report", str(compare.folder)]) == 0
    assert top(compare.folder, capsys.readouterr().out) == said
    assert compare("pairs=3") == said


def test_other_statistics_before_results_were_seen_are_the_plans():
    plan = asked("pairs=3")
    locked = LockedPlan(plan, "now")
    locked.depart({**plan, "statistics": "other"})
    assert locked.departures == []
    assert locked.plan["statistics"] == "other"
    locked.look(3, claims=False)
    locked.depart(plan)
    assert locked.departures == ["the statistics changed after results were seen"]


def test_statistics_that_are_not_known_depart_after_results_were_seen():
    plan = asked("pairs=3")
    locked = LockedPlan({k: v for k, v in plan.items() if k != "statistics"}, "now")
    locked.look(3, claims=False)
    locked.depart(plan)
    assert locked.departures == ["the statistics of then are not known"]
    locked.events.clear()
    locked.depart(plan)
    assert locked.departures == []
    locked.look(3, claims=False)
    locked.depart(plan)
    assert locked.departures == []
    assert locked.plan == plan


def test_the_digest_of_the_statistics_is_of_all_their_sources(tmp_path, monkeypatch):
    (tmp_path / "judging" / "deep").mkdir(parents=True)
    for name in ("__init__.py", "p.py", "deep/q.py"):
        (tmp_path / "judging" / name).write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    found = [settled.sources_digest(["judging"])]
    for name in ("p.py", "deep/q.py"):
        (tmp_path / "judging" / name).write_text("# other")
        found.append(settled.sources_digest(["judging"]))
    assert len({*found}) == 3
    known = settled.sources_digest(["judging"], ["p.py"])
    (tmp_path / "judging" / "p.py").write_text("# shown, and not judged by")
    assert settled.sources_digest(["judging"], ["p.py"]) == known
    judged = settled.sources_digest(["zoo.compare.analysis"], settled.UNJUDGED)
    assert settled.statistics_digest() == judged
    home = Path(settled.__file__).parents[1] / "analysis"
    assert all((home / name).is_file() for name in settled.UNJUDGED)


def test_a_plan_has_its_slopes_and_the_grid_of_its_tuning():
    plan = asked("pairs=3", "model.depth=2,3", "tune=lr", "tune_seeds=3")
    assert plan["slopes"] == [["gnn", "residual", "plain"]]
    assert (plan["tune_seeds"], plan["grid"]) == (3, {"factors": [0.25, 0.5, 1.0, 2.0, 4.0],
                                                      "step": 2.0, "further": 2})  # fmt: skip
    assert asked("pairs=3")["slopes"] == []
    locked = LockedPlan(plan, "now")
    locked.depart(asked("pairs=3", "model.depth=2,3", "tune=lr"))
    assert locked.departures == ["the seeds of tuning changed after the first run"]


def test_a_plan_of_an_earlier_version_is_read_and_its_events_begin_the_chain(compare, capsys):
    compare("pairs=3")
    compare("pairs=3", "effects={gnn:0.2}")
    whole = plan_in(compare.folder)
    later = ("statistics", "slopes", "tune_seeds", "grid", "varied", "tuned", "scripts", "recipes")
    plan = {key: value for key, value in whole["plan"].items() if key not in later}
    looks = [{"time": "2026-11-27T10:00:00+00:00", "pairs": n, "claims": False} for n in (2, 3)]
    said = ["smallest effects changed after the first run"]
    unknown = "the statistics of then are not known"
    unlocked = json.loads((compare.folder / "compare.json").read_text())
    unlocked["plan"] = {"digest": digest(plan), "begun": "2026-11-27T09:00:00+00:00"}
    old = {"digest": digest(plan), "plan": plan, "begun": "2026-11-27T09:00:00+00:00",
           "looks": looks, "departures": said}  # fmt: skip
    (compare.folder / "plan.json").write_text(json.dumps(old))
    (compare.folder / "compare.json").write_text(json.dumps(unlocked))
    assert main(["report", str(compare.folder)]) == 0
    assert top(compare.folder, capsys.readouterr().out) == [*said, unknown]
    assert compare("pairs=3") == [*said, unknown]
    events = plan_in(compare.folder)["events"]
    kinds = ["look", "look", "departure", "note", "departure", "look", "look"]
    assert [e["kind"] for e in events] == kinds
    assert looks_in(compare.folder) == [2, 3, 3, 3]
    assert "without a lock" in (compare.folder / "report.md").read_text()
    (compare.folder / "compare.json").unlink()
    (compare.folder / "plan.json").write_text(json.dumps(old | {"digest": "other"}))
    assert main([*WORDS, "pairs=3", f"dir={compare.folder}"]) == 3


def test_after_a_departure_everything_explores_wherever_it_stands(compare, capsys):
    words = ["pairs=8", "model.depth=2,3"]
    assert compare(*words) == []
    record = json.loads((compare.folder / "compare.json").read_text())
    deep = record["places"][-1]["contrasts"][0]
    assert (deep["verdict"], deep["exploratory"]) == ("residual better", False)
    assert record["slopes"][0]["exploratory"] is False
    compare(*words, "effects={gnn:0.02}")
    for again in (lambda: None, lambda: main(["report", str(compare.folder)])):
        again()
        record = json.loads((compare.folder / "compare.json").read_text())
        claims = [c for place in record["places"] for c in place["contrasts"]] + record["slopes"]
        assert len(claims) == 3
        assert all(claim["exploratory"] for claim in claims)
        assert all(claim["verdict"].endswith(" (exploratory)") for claim in claims)
        assert all(claim["verdict"].count("(exploratory)") == 1 for claim in claims)
        page = Page(compare.folder / "report.html")
        text = (compare.folder / "report.md").read_text()
        tex = (compare.folder / "tables" / "gaps.tex").read_text()
        for report in (page.text, text, tex):
            words_of = re.findall(r"residual better( \(exploratory\))?", report)
            assert words_of.count(" (exploratory)") >= 2
        with (compare.folder / "tables" / "gaps.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert [row["p_holm"] for row in rows] == ["", ""]
        assert all(row["verdict"] == "residual better (exploratory)" for row in rows)
        (growth,) = [line for line in text.splitlines() if line.startswith("| gnn | residual |")]
        assert growth.split(" | ")[6] == "exploratory"  # in the place of the corrected p
        rows = [line for line in text.splitlines() if line.startswith("| gnn, depth ")]
        gaps = [row.split(" | ") for row in rows if "residual better" in row]
        assert [cells[10] for cells in gaps] == ["exploratory"] * 2
    lines = [line for line in text.splitlines() if line.startswith("| gnn, test accuracy")]
    assert lines[0].count("residual better") == 2
    assert lines[0].count("residual better (exploratory)") == 1  # the other column says so above


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
