"""Fair tuning: one budget for all arms, on validation alone."""

import csv
import itertools
import json
import random
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import pytest
from conftest import until
from invented_engine import gap_of, install
from quick import drawn
from read_wandb import artifacts_of, uploaded

from zoo.cli.main import main
from zoo.compare.analysis.places import digests_to_share
from zoo.compare.analysis.record import Declared
from zoo.compare.analysis.validation import validation_of
from zoo.compare.design.plan import plan
from zoo.compare.design.spec import declare
from zoo.compare.design.tuning import FACTORS, changed, seeds_of_tuning, tuned_options
from zoo.compare.execution.engine import Outcome
from zoo.compare.execution.store import Store
from zoo.compare.execution.tuning_runs import tune
from zoo.compare.report.chart_tuning import sensitivity
from zoo.compare.report.draw_plotly import to_plotly
from zoo.compare.report.sources import read_source
from zoo.compare.report.wandb_sync import sync

SMALL = ["task=gnn", "model.depth=2", "trainer.max_epochs=null", "trainer.max_steps=5", "pairs=2"]
SMALL += ["data.nodes=100", "data.train=40", "data.val=20", "model.width=8", "logger=none"]
SMALL += ["workers=1", "connection=plain,residual"]
LR, DECAY = "optimizer.lr", "optimizer.weight_decay"


class Invented:
    """An engine whose runs end at once, with a validation score that follows from their options.

    Args:
        score: of a configuration; None: it diverged; a text: it failed with this error.
        draws: of the numbers of the test part.
    """

    free, note = 2, ""

    def __init__(self, score, draws=None):
        self.score, self.draws = score, draws or random.Random(0)
        self.ended, self.trained = [], []

    def submit(self, job, request):
        answer = {"data_digest": "d", "flops": 1, "parameters": 1, "steps": 1, "seconds": 0.1}
        if request["do"] == "cell":
            self.trained.append(job)
            answer = self.end(request["config"], request["folder"])
        self.ended.append(Outcome(job, answer))

    def end(self, config, folder):
        score = self.score(config)
        if isinstance(score, str):
            return {"error": score, "code": 1}
        status = "diverged" if score is None else "done"
        result = {
            "status": status, "seconds": 2.0,
            "chance": {"val/accuracy": 0.0, "test/accuracy": self.draws.random()},
            "metrics": {"val/accuracy": score, "test/accuracy": self.draws.random()},
            "primary": {"name": "test/accuracy", "value": self.draws.random(),
                        "higher_is_better": True},
        }  # fmt: skip
        Path(folder).mkdir()
        (Path(folder) / "result.json").write_text(json.dumps(result))
        return {"status": status}

    def poll(self, seconds):
        ended, self.ended = self.ended, []
        return ended


def planned(*words):
    _, options, axes = declare([*SMALL, *words])
    whole = plan(options, axes)
    return whole, tuned_options(options, whole, axes)


def searched(folder, score, *words, seeds=(7, 8), draws=None):
    """What tuning does with invented scores, and the engine that gave them."""
    whole, names = planned(*words)
    engine = Invented(score, draws)
    return tune(whole, names, list(seeds), Store(folder), engine), engine


def peak(best):
    """A score that falls with the distance of the rate to the best one of each rule."""

    def score(config):
        return 1 / (1 + abs(config["optimizer"]["lr"] - best[config["choices"]["connection"]]))

    return score


def tried(search):
    return [trial["value"] for trial in search.trials]


def test_all_arms_try_what_the_farthest_of_them_needs(tmp_path):
    found, engine = searched(tmp_path, peak({"plain": 0.01, "residual": 0.2}), "tune=lr")
    plain, residual = found.searches
    assert tried(plain) == tried(residual) == [0.0025, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16]
    assert (plain.chosen, residual.chosen) == (0.01, 0.16)
    assert (plain.at_the_edge, residual.at_the_edge) == (False, True)
    assert plain.runs == residual.runs == 14
    assert plain.seconds == residual.seconds == 28.0
    assert len(engine.trained) == 28


def test_every_pair_runs_at_the_best_values_and_at_the_configured_ones(tmp_path):
    found, _ = searched(tmp_path, peak({"plain": 0.005, "residual": 0.02}), "tune=lr")
    rates = {(c.arm, bool(c.tuned)): set() for c in found.plan.cells}
    for cell in found.plan.cells:
        rates[cell.arm, bool(cell.tuned)].add(cell.config.sections["optimizer"]["lr"])
    assert rates == {
        ("plain", True): {0.005}, ("residual", True): {0.02},
        ("plain", False): {0.01}, ("residual", False): {0.01},
    }  # fmt: skip
    assert sorted(c.pair for c in found.plan.cells if c.tuned) == [0, 0, 1, 1]


def test_a_run_that_diverged_or_failed_is_the_worst_and_ends_what_is_stable(tmp_path):
    def score(config):
        rate = config["optimizer"]["lr"]
        if config["choices"]["connection"] == "plain":
            return None if rate > 0.02 and config["seed"] == 8 else rate
        return "no such thing" if rate > 0.01 else 0.5

    found, _ = searched(tmp_path, score, "tune=lr")
    plain, residual = found.searches
    assert (plain.chosen, plain.stable, plain.lost) == (0.02, 0.02, 0)
    assert plain.trials[-1]["scores"] == [0.04, None]
    assert (residual.chosen, residual.stable, residual.lost) == (0.01, 0.01, 4)
    assert set(found.failed.values()) == {"no such thing"}


def test_a_run_no_better_than_chance_is_not_stable(tmp_path):
    def score(config):
        return 0.9 if config["optimizer"]["lr"] < 0.02 else 0.0

    found, _ = searched(tmp_path, score, "tune=lr")
    assert [(s.chosen, s.stable, s.trials[-1]["scores"]) for s in found.searches] == [
        (0.01, 0.01, [0.0, 0.0])
    ] * 2


def test_where_nothing_trains_the_configured_value_stays(tmp_path):
    found, _ = searched(tmp_path, lambda config: None, "tune=lr")
    assert [(s.chosen, s.stable, len(s.trials)) for s in found.searches] == [(0.01, None, 5)] * 2


def test_the_chart_has_every_run_a_cross_for_each_without_end_and_a_ring_at_the_best(tmp_path):
    def score(config):
        rate, residual = config["optimizer"]["lr"], config["choices"]["connection"] == "residual"
        return None if rate > 0.02 and residual else 0.5 + rate + 0.01 * (config["seed"] == 8)

    found, _ = searched(tmp_path, score, "tune=lr")
    chart = sensitivity(found.searches, ["plain", "residual"])
    values = [2.0**at for at in chart.x.at]
    assert values == pytest.approx([0.0025, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16])
    points = {(s.kind, s.name): list(s.y) for s in chart.series}
    assert len(points["runs", "plain"]) == 14
    assert ("end", "plain") not in points
    assert len(points["runs", "residual"]) == 8
    assert points["end", "residual"] == [pytest.approx(0.5025)] * 6
    assert points["chosen", "plain"] == [pytest.approx(0.665)]
    assert points["chosen", "residual"] == [pytest.approx(0.525)]
    assert points["mean", "residual"][-1] is None
    traces = to_plotly(chart)["traces"]
    assert [len(t["marker"]["symbol"]) for t in traces if t["marker"]["size"] == 7] == [14, 8]


def test_several_options_are_tuned_one_after_another(tmp_path):
    def score(config):
        rate, decay = config["optimizer"]["lr"], config["optimizer"]["weight_decay"]
        return 1 - abs(rate - 0.02) - abs(decay - 0.001 * (rate == 0.02))

    found, engine = searched(tmp_path, score, "tune=lr,optimizer.weight_decay", seeds=[7])
    assert [(s.option, s.chosen) for s in found.searches] == [
        (LR, 0.02), (LR, 0.02), (DECAY, 0.001), (DECAY, 0.001),
    ]  # fmt: skip
    assert len(engine.trained) == 2 * (5 + 4)  # rate 0.02 at the configured decay is there already
    best = {json.dumps(c.tuned) for c in found.plan.cells if c.tuned}
    assert best == {json.dumps({LR: 0.02, DECAY: 0.001})}


def test_values_that_an_option_refuses_are_said(tmp_path):
    words = ["tune=model.dropout", "model.dropout=0.4"]
    found, _ = searched(tmp_path / "share", lambda c: c["model"]["dropout"], *words, seeds=[7])
    assert [(s.chosen, s.refused) for s in found.searches] == [(0.8, [1.6])] * 2
    words = ["tune=model.width", "model.width=6"]
    found, _ = searched(tmp_path / "whole", lambda c: c["model"]["width"], *words, seeds=[7])
    assert tried(found.searches[0]) == [3, 6, 12, 24, 48, 96]
    assert found.searches[0].refused == [1.5]


def test_no_test_number_can_change_what_is_chosen(tmp_path):
    score = peak({"plain": 0.04, "residual": 0.005})
    chosen = []
    for number in range(4):
        draws = random.Random(number)
        found, _ = searched(tmp_path / f"{number}", score, "tune=lr", draws=draws)
        chosen.append([(s.chosen, s.stable, s.trials) for s in found.searches])
    assert chosen == [chosen[0]] * 4
    for result in (tmp_path / "0" / "cells").glob("*/result.json"):
        row = json.loads(result.read_text())
        row["metrics"] = {"val/accuracy": row["metrics"]["val/accuracy"]}
        del row["primary"]["value"], row["chance"]["test/accuracy"]
        result.write_text(json.dumps(row))
    found, engine = searched(tmp_path / "0", score, "tune=lr")
    assert [(s.chosen, s.stable, s.trials) for s in found.searches] == chosen[0]
    assert engine.trained == []


def test_the_score_is_that_of_the_last_step_on_validation(tmp_path):
    ends = itertools.product(("_at_best_val", ""), ("test", "train", "val"))
    metrics = {f"{part}/loss{at}": number for number, (at, part) in enumerate(ends)}
    result = {"status": "done", "metrics": metrics, "seconds": 1.0,
              "chance": {"test/loss": 8.0, "val/loss": 5.0},
              "primary": {"name": "test/loss", "value": 9, "higher_is_better": False}}  # fmt: skip
    folder = tmp_path / "cells" / "one"
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(json.dumps(result))
    seen = validation_of("one", [tmp_path])
    assert vars(seen) == {
        "metric": "val/loss", "higher_is_better": False, "score": 5, "chance": 5.0, "seconds": 1.0,
    }  # fmt: skip
    assert not seen.trained
    assert validation_of("other", [tmp_path]) is None


def test_what_was_tried_is_not_tried_again(tmp_path):
    score = peak({"plain": 0.01, "residual": 0.08})
    first, engine = searched(tmp_path, score, "tune=lr")
    assert len(engine.trained) == 28
    again, engine = searched(tmp_path, score, "tune=lr")
    assert engine.trained == []
    assert again.searches == first.searches
    _, engine = searched(tmp_path, score, "tune=lr", seeds=(7, 8, 9))
    assert len(engine.trained) == 14


def test_seeds_of_tuning_are_no_pairs():
    whole, _ = planned("tune=lr", "pairs=40")
    assert set(seeds_of_tuning(5, whole.pairs)).isdisjoint(whole.pairs)
    assert seeds_of_tuning(3, [2_000_001]) == [2_000_000, 2_000_002, 2_000_003]


def test_a_tuned_recipe_is_one_whatever_was_chosen_and_none_of_the_untuned():
    cell = planned("tune=lr")[0].cells[0]
    low, high = (changed(cell, {LR: cell.config.sections["optimizer"]["lr"] * factor}, 0)
                 for factor in FACTORS[::4])  # fmt: skip
    assert low.recipe == high.recipe != cell.recipe
    assert low.id("data") != high.id("data")
    assert low.kind == high.kind == cell.kind
    assert cell.config.sections["optimizer"]["lr"] == 0.01


def test_arms_of_other_sizes_need_not_start_alike():
    arms = {"plain": {"connection": "plain"}, "residual": {"connection": "residual"}}
    by_rate, by_width = (
        digests_to_share(Declared(arms=arms, tuned=[option]), "residual", "plain")
        for option in (LR, "model.width")
    )
    assert "branch_digest" in by_rate
    assert "branch_digest" not in by_width
    assert "order_digest" in by_width


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["tune=lrr"], "unknown option lrr -- tune: gnn, depth 2, plain -- did you mean"),
        (["tune=connection.streams"], "unknown option connection.streams"),
        (["tune=optimizer.schedule"], "optimizer.schedule=constant is no number"),
        (["tune=optimizer.stem_decay"], "optimizer.stem_decay=null is no number"),
        (["tune=trainer.compile"], "trainer.compile=false is no number"),
        (["tune=optimizer.warmup"], "optimizer.warmup=0 times any factor is no grid"),
        (["tune=optimizer.weight_decay", "optimizer.weight_decay=0"], "is no grid"),
        (["tune=lr", "noise=true"], "leave one of the two out"),
        (["tune=lr,optimizer.lr"], "optimizer.lr is tuned twice"),
        (["tune=lr", "optimizer.lr=0.1,0.2"], "optimizer.lr has several values and is tuned"),
        (["tune=model.depth"], "model.depth makes places"),
        (["tune=data.nodes"], "data.nodes makes places"),
        (["tune=seed"], "seed makes pairs"),
        (["tune=trainer.max_steps"], "trainer.max_steps is the budget"),
        (["tune=3"], "tune=[3] is refused"),
        (["tune=lr", "tune_seeds=0"], "tune_seeds=0 is refused"),
        (["tune=lr", "max_cells=43"], "44 runs are more than 43"),
    ],
)
def test_mistakes_are_one_line(words, said, capsys, tmp_path):
    assert main(["compare", *SMALL, *words, f"dir={tmp_path / 'no'}"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in captured.err.splitlines()[-1]
    assert not (tmp_path / "no").exists()


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """A folder in which both arms were tuned and compared."""
    folder = tmp_path_factory.mktemp("tuned") / "here"
    with drawn():
        assert main(["compare", *SMALL, "tune=lr", "tune_seeds=1", f"dir={folder}"]) == 0
    return folder


def rows_of(folder):
    with (folder / "cells.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def trials_of(folder):
    searches = record_of(folder)["tuning"]["searches"]
    return [trial["runs"] for search in searches for trial in search["trials"]]


def record_of(folder):
    return json.loads((folder / "compare.json").read_text())


def result_of(folder, id):
    return json.loads((folder / "cells" / id / "result.json").read_text())


def test_the_record_agrees_with_the_results(compared):
    record = record_of(compared)
    tuning, (place,) = record["tuning"], record["places"]
    assert tuning["seeds"] == [2_000_000]
    assert record["declared"]["tuned"] == [LR]
    for search in tuning["searches"]:
        scores = {}
        for trial in search["trials"]:
            results = [result_of(compared, id) for id in trial["runs"]]
            assert {result["seed"] for result in results} == {2_000_000}
            assert trial["scores"] == [result["metrics"]["val/accuracy"] for result in results]
            scores[trial["value"]] = fmean(trial["scores"])
        assert scores[search["chosen"]] == max(scores.values())
        words = f"optimizer.lr={search['chosen']}"
        commands = [c["command"] for c in record["cells"] if c["arm"] == search["arm"]]
        assert all(words in c or search["chosen"] == 0.01 for c in commands)
        assert len(commands) == 2
    (gap,) = tuning["gaps"]
    assert gap["tuned"]["value"] == place["contrasts"][0]["gap"]["value"]
    value = {(run["arm"], run["pair"]): run["value"] for run in tuning["configured"]}
    assert gap["configured"]["value"] == pytest.approx(
        fmean(value["residual", pair] - value["plain", pair] for pair in (0, 1))
    )


def test_the_reports_show_it(compared):
    page = (compared / "report.html").read_text()
    for text in (page, (compared / "report.md").read_text()):
        assert "Every arm has its own best optimizer.lr at every place" in text
        assert "none was tuned for this comparison" not in text
        assert "gap at the configured values" in text
        assert "largest stable" in text
    assert '<h2 id="tuning">' in page
    assert (compared / "figures" / "tuning.png").stat().st_size > 10_000
    assert "<svg" in (compared / "figures" / "tuning.svg").read_text()


def test_the_table_of_runs_has_those_of_tuning_with_their_scores_on_validation(compared):
    rows = rows_of(compared)
    assert Counter(row["phase"] for row in rows) == {
        "comparison": 4, "configured values": 4, "tuning": sum(map(len, trials_of(compared)))
    }  # fmt: skip
    for row in rows:
        metrics = result_of(compared, row["id"])["metrics"]
        if row["phase"] == "tuning":
            assert row["seed"] == row["pair"] == "2000000"
            assert row["metric"] == "val/accuracy"
            assert float(row["value"]) == metrics["val/accuracy"]
            assert f"optimizer.lr={row['settings'].rpartition('=')[2]}" in row["settings"]
        else:
            assert row["metric"] == "test/accuracy"


def test_wandb_has_the_runs_of_tuning_apart_and_without_a_test_number(compared, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    record = read_source(compared).record
    phases = {phase: runs[:1] for phase, runs in record.phases.items()}
    tuning = replace(record.tuning, configured=phases["configured values"], runs=phases["tuning"])
    sync(replace(record, cells=phases["comparison"], tuning=tuning), compared)
    files = [*compared.glob("wandb/offline-run-*/*.wandb")]
    until(lambda: all(uploaded(file)["ended"] for file in files))
    sent = [uploaded(file) for file in files]
    ids = {phase: {run.id for run in runs} for phase, runs in phases.items()}
    for run in sent:
        (key,) = run["ids"]
        known = {p for p, of_phase in ids.items() if key.partition("-")[2] in of_phase}
        job = "cell" if known == {"comparison"} else run["job_type"]
        assert run["job_type"] == job
        assert job in (known or {"comparison", "report"}) | {"cell"}
        tested = [name for name in run["summary"] if name.startswith("test/")]
        assert bool(tested) == (job in ("cell", "configured values"))
    assert {run["job_type"] for run in sent} >= {"cell", "tuning", "comparison", "report"}
    cells = {a.name: {c.path for c in a.manifest.contents} for a in artifacts_of(files, "cell")}
    for phase, of_phase in ids.items():
        for key in of_phase:
            assert ("result.json" in cells[f"cell-{key}"]) == (phase != "tuning")
    assert len({run["group"] for run in sent}) == 1


def test_a_run_of_tuning_that_failed_is_named_everywhere_and_in_the_exit_code(
    tmp_path, monkeypatch, capsys
):
    lost = ("residual", 2_000_001)
    gap = gap_of(0.1)
    install(monkeypatch, lambda rule, seed: None if (rule, seed) == lost else gap(rule, seed))
    words = [*SMALL, "tune=lr", "mirror=false", f"dir={tmp_path}"]
    assert main(["compare", *words]) == 7
    said = "tuning run gnn, depth 2, residual, optimizer.lr=0.04, seed 2000001 failed: it is bad"
    assert said in capsys.readouterr().err
    failed = [row for row in rows_of(tmp_path) if row["status"] == "failed"]
    assert {(r["phase"], r["arm"], r["seed"], r["reason"]) for r in failed} == {
        ("tuning", "residual", "2000001", "it is bad")
    }
    assert len(failed) == len(FACTORS)
    named = "gnn, depth 2, residual, tuning, seed 2000001: it is bad"
    assert (tmp_path / "report.md").read_text().count(named) == len(FACTORS)
    page = (tmp_path / "report.html").read_text()
    assert all(row["id"] in page for row in failed)


def test_the_same_command_and_a_report_run_nothing_and_say_the_same(compared):
    times = {p: p.stat().st_mtime_ns for p in compared.glob("cells/*/result.json")}

    def record():  # but for its plan, which notes every look
        return record_of(compared) | {"plan": None}

    before = record()
    assert main(["compare", *SMALL, "tune=lr", "tune_seeds=1", f"dir={compared}"]) == 0
    assert record() == before
    assert main(["report", str(compared)]) == 0
    assert record() == before
    assert {p: p.stat().st_mtime_ns for p in compared.glob("cells/*/result.json")} == times


def test_other_test_numbers_leave_the_choice_and_other_validation_numbers_do_not(
    compared, tmp_path
):
    folder, draws = tmp_path / "copy", random.Random(0)
    shutil.copytree(compared, folder)
    before = record_of(folder)["tuning"]["searches"]
    ids = [id for search in before for trial in search["trials"] for id in trial["runs"]]
    words = ["compare", *SMALL, "tune=lr", "tune_seeds=1", f"dir={folder}"]

    def rewrite(part):
        for id in ids:
            result = result_of(folder, id)
            for key in result["metrics"]:
                if key.startswith(part):
                    result["metrics"][key] = draws.random()
            if part == "test/":
                result["primary"]["value"] = draws.random()
                result["chance"]["test/accuracy"] = draws.random()
            (folder / "cells" / id / "result.json").write_text(json.dumps(result))
        assert main(words) == 0
        return record_of(folder)["tuning"]["searches"]

    assert rewrite("test/") == before
    assert rewrite("val/") != before


def test_a_dry_run_tells_the_budget(compared, capsys):
    words = [*SMALL, "tune=lr,optimizer.weight_decay", "dry_run=true", f"dir={compared}"]
    assert main(["compare", *words]) == 0
    said = "tuning optimizer.lr and optimizer.weight_decay adds 40 to 72 runs"
    assert said in capsys.readouterr().out
