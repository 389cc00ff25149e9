"""Reports of comparisons, without a browser: what they hold, and that names cannot harm them."""

import csv
import json
import shutil
import xml.etree.ElementTree as ET

import pytest
from made_comparison import made
from matplotlib.collections import PathCollection
from quick import drawn
from read_page import Page

from zoo.cli.main import main
from zoo.compare.analysis.analyse import analysed
from zoo.compare.analysis.runs import Run
from zoo.compare.analysis.statistics import holm
from zoo.compare.design.spec import with_text_keys
from zoo.compare.report.figures import curve_figures, gap_figures, score_figures
from zoo.compare.report.join_sources import join_runs
from zoo.compare.report.sources import read_source
from zoo.compare.typed import typed
from zoo.errors import ConfigError, shown

HOSTILE = ['</script><img src=x onerror="alert(1)">', "\"&<>'$name{}", "ᚱ" * 300 + "\u202e\x00"]
FILES = ("compare.json", "report.md", "report.html", "cells.csv")
FIGURES = {f"{name}.{kind}" for name in ("verdicts", "score", "gaps", "curves")
           for kind in ("png", "svg")}  # fmt: skip


def reported(folder, *words):
    assert main(["report", str(folder), *words]) == 0
    return Page(folder / "report.html")


@pytest.fixture(scope="module")
def plain_page(tmp_path_factory):
    def status(cell):
        lost = (cell["arm"], cell["pair"]) == ("residual", 7) and cell["task"] == "gnn"
        bad = (cell["arm"], cell["depth"], cell["pair"]) == ("plain", 32, 1)
        return "failed" if lost else "diverged" if bad else "done"

    folder = tmp_path_factory.mktemp("made") / "here"
    places = [("cnn", 32), ("cnn", 8), ("gnn", None)]
    made(folder, ["plain", "residual"], places, 8, ["plain", "residual"], status)
    with drawn():
        return folder, reported(folder)


def test_the_page_tells_all_that_a_comparison_must_tell(plain_page):
    folder, page = plain_page
    assert {path.name for path in (folder / "figures").iterdir()} == FIGURES
    parts = [attrs["id"] for tag, attrs in page.found if tag == "h2"]
    assert parts[0] == "verdicts"
    assert {"scores", "gaps", "curves", "costs", "mixing", "failures", "provenance"} < set(parts)
    record = json.loads((folder / "compare.json").read_text())
    found = [c["verdict"] for place in record["places"] for c in place["contrasts"]]
    assert len(set(found)) > 1
    assert all(verdict in page.text for verdict in found)
    assert "the worker was killed" in page.text
    assert "counts as chance" in page.text
    assert all(row["command"] in page.text for row in record["cells"])
    deep, shallow = (page.text.index(f"depth {depth}:") for depth in (32, 8))
    assert shallow < deep  # in the verdict, whatever the order of the command line
    figures = json.loads(page.scripts[0])["charts"]
    assert json.loads(page.scripts[1]) == record
    first = figures["chart0"]
    assert first["layout"]["xaxis"]["tickvals"] == [3, 5]
    dots = [trace for trace in first["traces"] if trace["mode"] == "markers"]
    assert [len(trace["y"]) for trace in dots] == [16, 16]
    assert sum(s.endswith("open") for trace in dots for s in trace["marker"]["symbol"]) == 1


def test_the_page_needs_nothing_and_can_be_read_by_ear(plain_page):
    _, page = plain_page
    kinds = {tag for tag, _ in page.found}
    assert not kinds & {"link", "img", "iframe", "base"}
    assert not any("src" in attrs for _, attrs in page.found)
    policy = next(a["content"] for t, a in page.found if a.get("http-equiv"))
    assert "default-src 'none'" in policy
    assert policy.count("'sha256-") == 3
    plots = [attrs for _, attrs in page.found if attrs.get("class") == "plot"]
    assert plots
    assert all(attrs["role"] == "img" and attrs["aria-label"] for attrs in plots)
    ids = [attrs["id"] for _, attrs in page.found if "id" in attrs]
    assert len(ids) == len(set(ids))
    wanted = [a["href"][1:] for t, a in page.found if t == "a"]
    assert set(wanted) <= set(ids)


@pytest.mark.usefixtures("drawn")
@pytest.mark.fault(40)
def test_hostile_names_are_only_text(tmp_path):
    arms = ["plain", *HOSTILE, "=1+1"]
    places = [("".join(HOSTILE), None)]
    words = " ".join(HOSTILE)
    folder = made(tmp_path / "here", arms, places, 1, name=words, command=words)
    page = reported(folder)
    assert "img" not in {tag for tag, _ in page.found}
    assert len(page.scripts) == 5
    assert not any(key.startswith("on") for _, attrs in page.found for key in attrs)
    assert all(" ".join(name.replace("\x00", " ").split()) in page.text for name in arms)
    assert json.loads(page.scripts[1])["name"] == words
    for trace in json.loads(page.scripts[0])["charts"]["chart0"]["traces"]:
        assert "<" not in trace["name"]
    for path in (folder / "figures").glob("*.svg"):
        kinds = {element.tag.rpartition("}")[2] for element in ET.parse(path).iter()}
        assert not kinds & {"script", "img", "image"}
    with (folder / "cells.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    cells = {*map(shown, arms[:-1]), "'=1+1"}  # no formula for a spreadsheet
    assert {row["arm"] for row in rows} == cells
    assert "<img" not in (folder / "report.md").read_text().rpartition("Made by")[0]


@pytest.mark.usefixtures("drawn")
def test_a_comparison_without_scores_has_a_report(tmp_path):
    folder = made(tmp_path / "here", ["plain", "x"], [("cnn", 2)], 1, status=lambda _: "failed")
    page = reported(folder)
    assert "no pair has ended" in page.text
    assert "2 of 2 runs failed" in page.text
    assert {path.name for path in (folder / "figures").iterdir()} == FIGURES


def test_many_places_are_spread_over_figures(tmp_path):
    places = [("cnn", depth) for depth in range(1, 62)]
    folder = made(tmp_path / "here", ["plain", "residual"], places, 1, status=lambda _: "failed")
    record = analysed(read_source(folder).record, [folder])
    heights = [figure.get_size_inches()[1] for figure in gap_figures(record)]
    assert len(heights) == 2
    assert max(heights) < 20
    (curves,) = curve_figures(record, {})
    titles = [axis.get_title() for axis in curves.axes]
    assert titles == ["cnn, depth 1", "cnn, depth 21", "cnn, depth 41", "cnn, depth 61"]


def test_the_page_and_the_figures_draw_the_same_points(plain_page):
    folder, page = plain_page
    charts = list(json.loads(page.scripts[0])["charts"].values())
    source = read_source(folder)
    source.record.cells = join_runs([source])
    record = analysed(source.record, [folder])
    (figure,) = score_figures(record)
    (forests,) = gap_figures(record)
    drawn = [*figure.axes, *forests.axes]
    assert len(drawn) == 6  # test and training of two families, and their gaps
    hollow = 0
    for axis, chart in zip(drawn, charts, strict=False):
        dots = [t for t in chart["traces"] if t["mode"] == "markers" and "error_x" not in t]
        expected = {(x, y) for t in dots for x, y in zip(t["x"], t["y"], strict=True)}
        found = [marks for marks in axis.collections if isinstance(marks, PathCollection)]
        points = {tuple(point) for marks in found for point in marks.get_offsets().tolist()}
        assert points == expected
        hollow += sum(len(m.get_offsets()) for m in found if not len(m.get_facecolor()))
        means = [t["y"] for t in chart["traces"] if t not in dots]
        lines = [list(line.get_ydata()) for line in axis.lines]
        assert all(mean in lines for mean in means)
    assert hollow == 1


@pytest.mark.usefixtures("drawn")
def test_what_is_written_of_runs_is_read_again(plain_page):
    folder, _ = plain_page
    reported(folder)
    rows = json.loads((folder / "compare.json").read_text())["cells"]
    assert {row["status"] for row in rows} == {"done", "diverged", "failed"}
    for row in rows:
        run = typed(Run, row)
        assert run.plain() == row
        assert typed(Run, run.plain()) == run


def contents(folder):
    files = [folder / name for name in FILES[1:]] + sorted((folder / "figures").iterdir())
    return {path.name: path.read_bytes() for path in files}


@pytest.mark.usefixtures("drawn")
def test_a_report_is_the_same_again(plain_page, tmp_path, capsys):
    folder, _ = plain_page
    there = tmp_path / "there"
    assert main(["--json", "report", str(folder), f"dir={there}"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record == json.loads((folder / "compare.json").read_text())
    again = tmp_path / "again"
    assert main(["report", str(there), f"dir={again}"]) == 0  # the runs are found from there too
    for place in (there, again):
        told = json.loads((place / "compare.json").read_text())
        assert [(place / home).resolve() for home in told.pop("homes")] == [folder.resolve()]
        assert told == record
        assert contents(place) == contents(folder)


def test_the_terminal_shows_columns_and_verdicts(tmp_path, capsys):
    folder = made(tmp_path / "here", ["plain", "a longer name"], [("cnn", 2), ("gnn", 16)], 8)
    assert main(["report", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("place "))
    head, rows = lines[at], lines[at + 1 : lines.index("", at)]
    assert [line[: head.index("metric")].strip() for line in rows] == [
        "cnn, depth 2",
        "gnn, depth 16",
    ]
    assert all(line[head.index("verdict") - 1] == " " for line in rows)
    found = json.loads((folder / "compare.json").read_text())["places"]
    for line, place in zip(rows, found, strict=True):
        assert line[head.index("verdict") :] == place["contrasts"][0]["verdict"]


def test_runs_that_wait_have_not_come_to_their_end(tmp_path):
    folder = made(tmp_path / "here", ["plain", "residual"], [("cnn", 2)], 2)
    shutil.rmtree(next(folder.glob("cells/*1")))
    text = reported(folder).text
    assert "None: 3 of 4 runs came to their end" in text
    assert "1 of 4 runs have not run yet" in text


def test_a_null_comparison_has_no_warning_of_its_seeds(tmp_path):
    folder = made(tmp_path / "here", ["plain", "plain again"], [("cnn", 2)], 2)
    plan = json.loads((folder / "compare.json").read_text())
    plan["declared"]["null"] = True
    (folder / "compare.json").write_text(json.dumps(plan))
    for result in folder.glob("cells/*/result.json"):
        result.write_text(
            json.dumps({**json.loads(result.read_text()), "branch_digest": result.parent.name})
        )
    assert "different branches" not in reported(folder).text


def test_what_has_run_since_is_in_the_report(tmp_path):
    late = made(tmp_path / "late", ["plain", "residual"], [("cnn", None)], 1)
    hidden = next(late.glob("cells/*1"))
    away = hidden.rename(tmp_path / "away")
    assert [run.status for run in join_runs([read_source(late)])] == ["done", "waiting"]
    away.rename(hidden)
    assert [run.status for run in join_runs([read_source(late)])] == ["done", "done"]


def test_several_folders_make_one_report(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    first = made(tmp_path / "first", ["plain", "residual"], [("cnn", 2)], 2)
    second = made(tmp_path / "second", ["plain", "residual"], [("gnn", 2)], 3)
    assert main(["report", str(first), str(second)]) == 0
    record = json.loads((tmp_path / "runs" / "report" / "compare.json").read_text())
    assert [place["title"] for place in record["places"]] == ["cnn, depth 2", "gnn, depth 2"]
    assert [place["contrasts"][0]["pairs"] for place in record["places"]] == [2, 3]
    assert record["declared"]["pairs"] == [0, 1, 2]
    for path in (first, second):
        assert not (path / "report.html").exists()
    page = Page(tmp_path / "runs" / "report" / "report.html")
    assert len(json.loads(page.scripts[0])["charts"]["chart0"]["traces"]) == 4


def test_wrong_folders_are_told_in_one_line(tmp_path, capsys):
    made(tmp_path / "first", ["plain", "residual"], [("cnn", 2)], 1)
    made(tmp_path / "other", ["plain", "residual"], [("cnn", 2)], 1, ["plain", "rezero"])
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "compare.json").write_text("{")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "compare.json").write_text('{"schema": 1, "cells": []}')
    made(tmp_path / "longer", ["plain", "residual"], [("cnn", 4)], 1, recipe="more steps")
    for name, change in {"more": {"mood": "good"}, "less": {"command": None}}.items():
        made(tmp_path / name, ["plain", "residual"], [("cnn", 2)], 1)
        plan = json.loads((tmp_path / name / "compare.json").read_text())
        plan["cells"][1] |= change
        plan["cells"][1] = {key: v for key, v in plan["cells"][1].items() if v is not None}
        (tmp_path / name / "compare.json").write_text(json.dumps(plan))
    wrong = [[], ["nowhere"], ["broken"], ["empty"], ["first", "other"], ["first", "longer"]]
    for words in [*wrong, ["more"], ["less"]]:
        assert main(["report", *(str(tmp_path / word) for word in words)]) == 2
        told = capsys.readouterr().err
        assert told.count("\n") == 1
        assert "Traceback" not in told


def test_published_rows_stand_beside_the_runs(tmp_path):
    rows = {"a <b> of 2020": {"4": 0.7, "8": 0.6, "64": 0.5}}
    folder = made(tmp_path / "here", ["plain", "residual"], [("cnn", 2), ("cnn", 16)], 2)
    plan = json.loads((folder / "compare.json").read_text())
    plan["declared"]["published"] = {"cnn": rows, "gnn": rows}
    (folder / "compare.json").write_text(json.dumps(plan))
    charts = json.loads(reported(folder).scripts[0])["charts"]
    found = [t for c in charts.values() for t in c["traces"] if "published" in str(t)]
    assert [trace["x"] for trace in found] == [[2.0, 3.0]]  # log2 of the depths that are shown
    assert found[0]["y"] == [0.7, 0.6]
    assert "a &lt;b&gt; of 2020" in found[0]["text"][-1]
    assert "a &lt;b&gt; of 2020, published: 0.700 at 4" in (folder / "report.html").read_text()


def test_published_rows_are_numbers_by_depth():
    assert with_text_keys({"gnn": {"a": {64: 0.5, 2: 1}}}) == {"gnn": {"a": {"2": 1.0, "64": 0.5}}}
    for row in ({"deep": 0.5}, {2: "high"}, {0: 0.5}, {2: None}, {2: 0.5, "deep": 0.5}, 0.5):
        with pytest.raises(ConfigError, match="give DEPTH: SCORE"):
            with_text_keys({"gnn": {"a": row}})


def test_the_deepest_places_err_in_5_percent_and_all_others_in_1(tmp_path):
    places = [
        (task, depth) for task in ("cnn", "gnn", "unet", "diffusion", "x") for depth in (2, 8)
    ]
    folder = made(tmp_path / "here", ["plain", "residual"], places, 8)
    source = read_source(folder)
    source.record.cells = join_runs([source])
    found = [(p, c) for p in analysed(source.record, [folder]).places for c in p.contrasts]
    deep = [c for place, c in found if place.depth == 8]
    shallow = [c for place, c in found if place.depth == 2]
    assert [c.exploratory for _, c in found] == [place.depth == 2 for place, _ in found]
    assert [c.needed for _, c in found] == [10, 8] * 5
    assert [c.holm_p for c in deep] == holm([c.beyond_p for c in deep])
    assert [c.holm_p for c in shallow] == holm([5 * c.beyond_p for c in shallow])


def test_spikes_and_lost_steps_stand_in_tables_and_curves(tmp_path):
    folder = made(tmp_path / "here", ["plain", "x"], [("cnn", 2)], 1)
    (path,) = folder.glob("cells/*1/result.json")
    spike = {"step": 22, "kind": "spike", "value": 12.0, "median": 0.5}
    lost = {"step": 31, "kind": "rollback", "value": None, "to": 20, "batches": [21, 31]}
    path.write_text(json.dumps(json.loads(path.read_text()) | {"events": [spike, lost]}))
    page = reported(folder)
    words = "step 22: a loss of 12.0, usual are 0.500; step 31: not finite, back to step 20"
    assert words in page.text
    assert words in (folder / "report.md").read_text()
    charts = json.loads(page.scripts[0])["charts"].values()
    marks = [t for c in charts for t in c["traces"] if "not finite" in str(t.get("hovertext"))]
    assert [t["x"] for t in marks] == [[31]]
    with (folder / "cells.csv").open(newline="") as file:
        assert [row["spikes"] for row in csv.DictReader(file)] == ["0", "1"]
