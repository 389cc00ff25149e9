"""Why: what the streams of one pair do by depth, from the worker that probes them to the report."""

import json
import warnings

import pytest
import torch
from invented_engine import WORDS, gap_of, install
from made_comparison import made
from read_page import Page
from small_runs import rows, weights

from tasks.gnn.task import NodeClassification
from tasks.inference.diagnose import fresh, loss
from tasks.worker.jobs import cell_config, run_cell
from zoo.cli.main import main
from zoo.compare.analysis.record import Declared, Record
from zoo.config.compose import change, compose
from zoo.probes.profiles import class_separation, token_similarity
from zoo.probes.stream.profile import stream_profile
from zoo.run_folder import RunFolder

GNN = {"data.nodes": 60, "data.train": 20, "data.val": 20, "model.depth": 4, "model.width": 8}
CNN = {"model.depth": 8, "model.width": 4, "trainer.max_epochs": None}
DRAWING = {"model.dropout": 0.5, "task.drop_edge": 0.3}  # at every step


def config_of(task, rule, **options):
    """The plain configuration of a run of three steps."""
    config = compose({"task": task, "connection": rule})
    small = {"gnn": GNN, "cnn": CNN}[task]
    change(config, {**small, "trainer.max_steps": 3, **options}, "test")
    return config.plain()


def probed(config, folder, why=True):
    """The folder of a run, and what its probes saw."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse")
        run_cell(config, str(folder), why)
    file = folder / "stream.json"
    return json.loads(file.read_text()) if file.is_file() else None


@pytest.mark.parametrize(
    ("task", "rule", "options"),
    [("gnn", "reversible", DRAWING), ("cnn", "residual", {"task.crop": 1, "trainer.ema": 0.9})],
)
def test_a_run_that_is_probed_is_the_same_bit_by_bit(task, rule, options, tmp_path):
    config, folders = config_of(task, rule, **options), (tmp_path / "seen", tmp_path / "not")
    seen, unseen = (
        probed(config, folder, why) for folder, why in zip(folders, (True, False), strict=True)
    )
    assert unseen is None
    assert seen["reason"] == ""
    assert rows(folders[0]) == rows(folders[1])
    results = [RunFolder(folder).result() for folder in folders]
    assert results[0]["metrics"] == results[1]["metrics"]
    first, second = map(weights, folders)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.fixture(scope="module")
def plain_run(tmp_path_factory):
    """A run without any draw after its start, its configuration, and what was seen of it."""
    folder = tmp_path_factory.mktemp("why") / "run"
    config = config_of("gnn", "plain", **{"model.dropout": 0.0})
    return folder, config, probed(config, folder)


def test_both_probes_agree_with_the_stream_profile_and_the_task_itself(plain_run):
    folder, plain, seen = plain_run
    config = cell_config(plain)
    task, _ = fresh(config)
    for when, curves in (("start", "curves_at_start"), ("end", "curves")):
        if when == "end":
            task.load_state_dict(weights(folder))
        task.setup("fit")
        profile = stream_profile(task.train(), next(iter(task.train_loader())), loss)
        for name, values in (("stream", profile.stream), ("share", profile.ratio)):
            assert seen[when][name] == pytest.approx(values.tolist(), rel=1e-5)
        assert seen[when]["gradient"] == pytest.approx(profile.gradient.tolist(), rel=1e-5)
        energies = RunFolder(folder).result()[curves]["dirichlet_energy"]
        assert seen[when]["collapse"] == pytest.approx(energies, rel=1e-5)
    assert seen["measure"] == "dirichlet_energy"
    assert seen["start"]["stream"] != seen["end"]["stream"]


def test_a_probe_that_fails_leaves_its_reason_and_a_whole_run(tmp_path, monkeypatch):
    def fails(self, batch=None):
        raise RuntimeError("no such\nmeasure")

    monkeypatch.setattr(NodeClassification, "collapse_measure", fails)
    monkeypatch.setattr(NodeClassification, "depth_profiles", lambda self: {})
    seen = probed(config_of("gnn", "plain"), tmp_path / "run")
    assert seen["reason"] == "the probe of the start failed (RuntimeError: no such measure)"
    assert "start" not in seen
    assert RunFolder(tmp_path / "run").result()["status"] == "done"


def test_features_are_compared_however_small_they_are():
    x, labels = (
        torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(0)),
        torch.arange(6) % 2,
    )
    assert token_similarity(1e-30 * x).item() == pytest.approx(token_similarity(x).item())
    separation = class_separation(x[0], labels).item()
    assert class_separation(1e-30 * x[0], labels).item() == pytest.approx(separation)


@pytest.mark.parametrize(("steps", "expected"), [(299, set()), (300, {(3, 0)})])
def test_unasked_only_long_runs_are_probed(steps, expected, tmp_path, monkeypatch):
    engine = install(monkeypatch, gap_of(0.1))
    engine.steps = steps
    words = [*WORDS, "model.depth=2,3", "pairs=2", "why=null", f"dir={tmp_path / 'here'}"]
    assert main(words) == 0
    runs = [(config["model"]["depth"], config["seed"]) for config in engine.configs]
    which = [run for run, why in zip(runs, engine.probed, strict=True) if why]
    assert (len(runs), len(which), set(which)) == (8, 2 * len(expected), expected)  # both arms


def by_depth(*gradient):
    """What one pass saw, with two writes."""
    rest = {"stream": [1.0, 2.0, 4.0], "share": [0.5, 0.25], "collapse": [0.8, 0.4, 0.2]}
    return {**rest, "gradient": list(gradient)}


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    """A comparison whose deepest gnn is known, whose cnn has one broken file, and its page."""
    folder = tmp_path_factory.mktemp("why") / "here"
    places = [("gnn", 16), ("gnn", 2), ("cnn", 8), ("unet", 1)]

    def status(cell):
        return "diverged" if (cell["arm"], cell["depth"]) == ("plain", 16) else "done"

    made(folder, ["plain", "residual"], places, 2, ["plain", "residual"], status)
    seen = {"batch": "b", "measure": "dirichlet_energy", "seconds": 0.5, "reason": ""}
    plain = {**seen, "start": by_depth(2e-6, 1e-3, 1.0)}
    residual = {**seen, "start": by_depth(3.0, 2.0, 1.0), "end": by_depth(0.5, None, 0.25)}
    for number, content in enumerate((plain, residual)):
        (folder / "cells" / f"{number:020x}" / "stream.json").write_text(json.dumps(content))
    (folder / "cells" / f"{8:020x}" / "stream.json").write_text('{"start": [1]}')
    assert main(["report", str(folder)]) == 0
    return folder, Page(folder / "report.html")


def test_the_page_answers_why_in_numbers_of_one_pair(reported):
    _, page = reported
    parts = [attrs["id"] for tag, attrs in page.found if tag == "h2"]
    assert parts[:2] == ["verdicts", "why"]
    assert (
        "On its way back from the last write to the first the gradient changes by a factor of "
        "2e-6 at the start in plain; 3 at the start and 2 at the end in residual."
    ) in page.text
    assert "the median branch writes 38 % at the start in plain; 38 % at the" in page.text
    last = "each net in training mode on the same training examples: a look, no test."
    cost = "The probes took 25 % of the time."  # 0.5 of 2 seconds each
    assert f"One pair (seed 0), {last} {cost}" in page.text
    assert "plain: it diverged, so that only its start was probed." in page.text
    assert "plain: stream.json cannot be read" in page.text
    assert "residual: its run was not probed." in page.text
    assert "No run was probed here." in page.text  # unet


def test_the_panels_show_the_numbers_at_both_ends_of_training(reported):
    folder, page = reported
    charts = list(json.loads(page.scripts[0])["charts"].values())[-8:]  # gnn and cnn
    stream, gradient, share, collapse = charts[:4]
    names = ["\u2068plain\u2069", *["\u2068residual\u2069"] * 2]
    for chart in charts[:4]:
        assert [trace["name"] for trace in chart["traces"]] == names
        assert [trace["line"]["dash"] for trace in chart["traces"]] == ["dot", "dot", "solid"]
    assert gradient["traces"][0]["y"] == [2e-6, 1e-3, 1.0]
    assert gradient["layout"]["yaxis"]["type"] == "log"
    assert gradient["traces"][2]["y"] == [0.5, None, 0.25]
    assert share["traces"][0]["x"] == [1, 2]
    assert collapse["traces"][0]["x"] == stream["traces"][0]["x"] == [0, 1, 2]
    assert all(chart["traces"] == [] for chart in charts[4:])
    assert (folder / "figures" / "why.png").is_file()


def test_the_record_and_the_markdown_have_the_streams(reported):
    folder, _ = reported
    record = json.loads((folder / "compare.json").read_text())
    plain, residual, *broken = record["streams"]
    assert (plain["place"], plain["arm"], plain["pair"]) == ("gnn, depth 16", "plain", 0)
    assert plain["seen"]["end"] is None
    assert residual["seen"]["end"]["gradient"] == [0.5, None, 0.25]
    assert [stream["seen"]["start"] for stream in broken] == [None, None]
    text = (folder / "report.md").read_text()
    assert "Why, gnn, depth 16: On its way back" in text
    assert "In one pair each (at gnn, depth 16 and cnn, depth 8) the nets were probed" in text


def test_a_record_without_streams_has_none():
    assert Record(schema=1, name="", command="", declared=Declared(), cells=[]).streams == []
