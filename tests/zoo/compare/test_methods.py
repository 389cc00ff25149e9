"""The methods of comparisons that tune, stop early, depart from their plan, and of others."""

import json

import numpy as np
import pytest
from invented_engine import WORDS, gap_of, install
from made_comparison import made

from zoo.cli.main import main
from zoo.compare.analysis.analyse import analysed
from zoo.compare.execution.progress import duration
from zoo.compare.report.join_sources import join_runs
from zoo.compare.report.methods import methods
from zoo.compare.report.sources import read_source


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs a comparison with invented scores; gives its record and its methods."""
    install(monkeypatch, gap_of(0.1))
    folder = tmp_path / "alone"

    def compare(*words):
        assert main([*WORDS, f"dir={folder}", *words]) == 0
        text = (folder / "report.md").read_text().partition("## Methods")[2]
        return json.loads((folder / "compare.json").read_text()), text

    return compare


def record_of(folder):
    source = read_source(folder)
    source.record.cells = join_runs([source])
    return analysed(source.record, [folder])


def test_tuning_is_told_with_its_grid_seeds_budget_and_choice(run):
    record, text = run("pairs=3", "tune=lr,optimizer.weight_decay", "tune_seeds=2")
    searches = record["tuning"]["searches"]
    runs = sum(len(trial["runs"]) for search in searches for trial in search["trials"])
    assert "optimizer.lr and optimizer.weight_decay had been tuned for every arm at every" in text
    assert "one after another" in text
    assert "times 1/4, 1/2, 1, 2 and 4." in text
    assert "took another step of 2 to that side, at most 2 to each" in text
    assert "(5 values of each option)" in text
    assert f"with seeds 2000000 and 2000001, which no pair has: {runs} runs in all, 0 with" in text
    assert f"and {duration(sum(s['seconds'] for s in searches))} of training" in text
    assert "of validation accuracy at the last step" in text
    assert "data of its own, made anew from its seed, in gnn." in text
    assert "The search read validation parts alone" in text
    for search in searches:
        said = f"{search['arm']} {search['chosen']:g} (configured {search['configured']:g})"
        assert said in text.partition(f"{search['option']} at gnn, depth 2: ")[2]


def test_the_plan_is_told_with_its_digest_date_end_and_looks(run):
    record, text = run("pairs=auto")
    plan = record["plan"]
    assert plan["digest"] in text
    assert plan["begun"] in text
    assert f"It ends {plan['stopping']} ({plan['pairs']} pairs at most)" in text
    counts = [look["pairs"] for look in plan["looks"]]
    assert len(counts) > 1
    *first, last = map(str, counts)
    said = f"{len(counts)} times, after {', '.join(first)} and {last} pairs"
    assert said in text
    assert "The test is valid whenever one stops" in text
    assert "binomial" not in text
    assert "McNemar" not in text
    assert "explores" not in text


def test_what_departs_from_the_plan_is_told(run):
    run("pairs=8")
    record, text = run("pairs=8", "effects={gnn: 0.5}")
    (departure,) = record["exploratory"]
    assert departure.partition(": ")[2].rstrip(".") in text.partition("since it departs from")[2]
    assert "smallest effect that matters 0.5" in text


def test_noise_is_told(run):
    record, text = run("pairs=8", "noise=true")
    assert "Both runs of a pair are the same rule under different seeds" in text
    assert "The noise at a place is the standard deviation of the differences" in text
    differences = record["places"][0]["contrasts"][0]["differences"]
    assert record["noise"][0]["sd"]["value"] == pytest.approx(np.std(differences, ddof=1))


def test_which_places_have_data_of_their_own_and_of_which_kind(tmp_path):
    folder = made(tmp_path / "here", ["plain", "x"], [("cnn", 2), ("gnn", 2), ("unet", 2)], 3)
    record = record_of(folder)
    declared = record.declared
    declared.varied, declared.resplit = ["cnn, depth 2", "gnn, depth 2"], ["cnn, depth 2"]
    text = methods(record)[0]
    assert "data of its own, made anew from its seed, in gnn." in text
    assert "a split of its own, drawn by its seed from one set, in cnn." in text
    assert "All pairs shared one data set and its split in unet." in text
    declared.resplit = None  # as an earlier version left it
    assert "Each pair had data of its own in cnn and gnn." in methods(record)[0]


def test_what_blocked_gaps_lack_is_not_claimed(tmp_path):
    record = record_of(made(tmp_path / "here", ["plain", "x"], [("cnn", 2)], 3))
    assert "the order of their batches, by their digests." in methods(record)[0]
    for run in record.cells:
        run.order_digest = run.arm
    blocked = analysed(record, [tmp_path / "here"])
    assert "but for gaps that are blocked" in methods(blocked)[0]


def test_without_chance_no_run_counts_as_chance(tmp_path):
    record = record_of(made(tmp_path / "here", ["plain", "x"], [("cnn", 2)], 3))
    assert "counts as chance" in methods(record)[0]
    for place in record.places:
        place.chance = None
    assert "counts as chance" not in methods(record)[0]


def test_a_finite_set_is_shared_where_something_is_tuned(run):
    record, text = run("task=cnn", "pairs=3", "tune=lr", "tune_seeds=1")
    assert record["declared"]["varied"] == []
    assert "All pairs shared one data set and its split in cnn." in text
    assert "Each value was trained once, with seed 2000000, which no pair has" in text


def test_a_command_tells_what_is_not_known_of_it(tmp_path):
    folder = made(tmp_path / "here", ["a", "b"], [("train.py", None)], 8)
    content = json.loads((folder / "compare.json").read_text())
    content["declared"]["scripts"] = {"train.py": "python train.py --seed {seed} --arm {arm}"}
    (folder / "compare.json").write_text(json.dumps(content))
    text = "\n".join(methods(record_of(folder)))
    assert "What else runs of a command share is unknown" in text
    assert "data of its own" not in text
    assert "shared one data set" not in text
    assert "judged at its last step" not in text


def test_examples_have_a_source_of_the_interval_where_what_each_adds_is_known(tmp_path):
    folder = made(tmp_path / "here", ["plain", "x"], [("cnn", 2), ("gnn", 2)], 8)
    assert "test examples, by" not in "\n".join(methods(record_of(folder)))
    draws = np.random.default_rng(0)
    for cell in json.loads((folder / "compare.json").read_text())["cells"]:
        if cell["task"] == "cnn":
            path = folder / "cells" / cell["id"] / "outcomes.npz"
            np.savez(path, test=draws.random(40).astype(np.float32))
    text = "\n".join(methods(record_of(folder)))
    assert "For 1 of 2 gaps it is known what each test example adds" in text
    references = text.rpartition("References: ")[2]
    assert all(name in references for name in ("Efron", "Cameron", "Satterthwaite"))


def test_every_paper_that_is_cited_is_a_reference_and_no_other(run):
    _, text = run("pairs=8", "model.depth=2,4")
    cited, _, references = text.partition("References: ")
    named = [name for name in ("Holm", "Clopper", "McNemar", "Ville", "Agarwal", "Cameron")
             if name in cited]  # fmt: skip
    assert named == ["Holm", "Clopper", "McNemar"]
    assert all((name in references) == (name in named) for name in ("Ville", "Agarwal", *named))
    assert "1 gap at shallower places is exploratory: claims of them have another 1 %." in text
