"""Comparisons through the command line."""

import io
import json
from contextlib import redirect_stdout

import pytest

from zoo.cli.main import main
from zoo.compare.design.plan import plan
from zoo.compare.design.spec import declare
from zoo.compare.execution.costs import data_stamp
from zoo.compare.execution.engines.local import visible_gpus

SMALL = ["task=gnn", "model.depth=2,3", "trainer.max_steps=4", "model.width=8", "mirror=false"]
SMALL += ["data.nodes=100", "data.train=40", "data.val=20", "pairs=2", "workers=2"]


FEW = [*SMALL, "model.depth=2", "pairs=1", "workers=1"]


def stands(folder):
    """What a folder says of its cells, and its report."""
    rows = json.loads((folder / "compare.json").read_text())["cells"]
    return {row["status"] for row in rows}, (folder / "report.md").read_text()


@pytest.fixture(scope="module")
def tried(tmp_path_factory):
    """A folder in which nothing came to its end, and what was said each time."""
    folder, out = tmp_path_factory.mktemp("compare") / "here", io.StringIO()
    words = ["compare", *FEW, f"dir={folder}"]
    assert main([*words, "minutes=0.0001"]) == 7
    unmeasured = stands(folder)
    with redirect_stdout(out):
        assert main(["--json", *words, "dry_run=true"]) == 0
    assert list((folder / "cells").iterdir()) == []
    assert main([*words, "minutes=0.0001"]) == 7
    return folder, unmeasured, json.loads(out.getvalue()), stands(folder)


@pytest.fixture(scope="module")
def compared(tried):
    """The same folder with all runs."""
    folder = tried[0]
    assert main(["compare", *SMALL, f"compare.dir={folder}"]) == 0
    return folder


def record_of(folder):
    return json.loads((folder / "compare.json").read_text())


def test_every_cell_is_a_run_folder_and_the_arms_are_paired(compared):
    record = record_of(compared)
    assert len(record["cells"]) == 8
    for row in record["cells"]:
        result = json.loads((compared / "cells" / row["id"] / "result.json").read_text())
        assert result["status"] == row["status"] == "done"
        scores = (result[key]["test/accuracy"] for key in ("metrics", "chance"))
        assert row["value"] == max(scores)
    for place in record["places"]:
        assert "blocked" not in place["contrasts"][0]["verdict"]
    starts = {(r["depth"], r["pair"]): set() for r in record["cells"]}
    for row in record["cells"]:
        digests = (row[f"{key}_digest"] for key in ("branch", "start", "order"))
        starts[row["depth"], row["pair"]].add(tuple(digests))
    assert all(len(found) == 1 for found in starts.values())
    report = (compared / "report.md").read_text()
    assert "Direction only" in report
    assert len((compared / "cells.csv").read_text().splitlines()) == 9


def test_the_first_pair_is_probed_at_the_deepest_place(compared):
    record = record_of(compared)
    cells = {row["id"]: (row["depth"], row["pair"]) for row in record["cells"]}
    files = sorted((compared / "cells").glob("*/stream.json"))
    assert [cells[file.parent.name] for file in files] == [(3, 0), (3, 0)]
    arms = [(stream["arm"], stream["seen"]["reason"]) for stream in record["streams"]]
    assert arms == [("plain", ""), ("residual", "")]


def test_a_second_time_runs_nothing_and_more_pairs_run_only_those(compared, capsys):
    times = {p: p.stat().st_mtime_ns for p in compared.glob("cells/*/result.json")}
    words = [word for word in SMALL if word != "pairs=2"]
    assert (
        main(["compare", *words, "pairs=3", "workers=1", "model.depth=2", f"dir={compared}"]) == 0
    )
    after = {p: p.stat().st_mtime_ns for p in compared.glob("cells/*/result.json")}
    assert {path: after[path] for path in times} == times
    assert len(after) == len(times) + 2


def test_the_command_of_a_cell_repeats_it(compared, tmp_path, capsys):
    row = record_of(compared)["cells"][-1]
    words = row["command"].split()[3:]
    assert main([*words, "logger=none", f"run.dir={tmp_path / 'again'}"]) == 0
    result = json.loads((tmp_path / "again" / "result.json").read_text())
    assert result["primary"]["value"] == row["value"]
    assert result["branch_digest"] == row["branch_digest"]


@pytest.mark.fault(38)
def test_a_dry_run_measures_and_a_hang_costs_only_its_cells(tried, compared):
    _, _, listed, (statuses, report) = tried
    assert len(listed["cells"]) == 2
    assert listed["seconds"] > 0
    assert statuses == {"failed"}
    assert "no end after 0 s (see logs/worker" in report
    assert stands(compared)[0] == {"done"}


@pytest.mark.fault(38)
def test_a_kind_of_runs_that_cannot_be_measured_costs_only_its_cells(tried, compared):
    _, (_, report), _, _ = tried
    assert "could not be measured: no end after 0 s" in report
    assert stands(compared)[0] == {"done"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(
            ["connection=plain,plain"], "connection has plain twice", marks=pytest.mark.fault(39)
        ),
        pytest.param(
            ["model.depth=range(3,3)"], "the axis model.depth is empty", marks=pytest.mark.fault(39)
        ),
        pytest.param(["seed=range(0,2000)"], "more than 2000", marks=pytest.mark.fault(39)),
        pytest.param(["pairs=9000"], "more than 2000", marks=pytest.mark.fault(39)),
        (["diagnostics=none,health"], "diagnostics changes no result"),
        (["logger=none,wandb"], "logger has several values"),
        (["pairs=1000000000"], "pairs=1000000000 is refused"),
        (["model.depth=range(1,9000)", "data.train=range(1,9000)"], "more than 2000"),
        (["seed=abc"], "integers of at least 0"),
        (["seed=[0,1]"], "integers of at least 0"),
        (["effects={gn:0.1}"], "did you mean gnn"),
        (["effects.gnn=0.02"], "write 'effects={gnn: 0.02}'"),
        (["effect=0.02"], "write 'effects={gnn: 0.02}'"),
        (["effects={gnn:-1}"], "greater than or equal to 0"),
        (["connection=plain"], "give two, to compare them"),
        (["connection=plain,residul"], "did you mean residual"),
        (["pairs=0"], "pairs=0 is refused"),
        (["pairs=abc"], "give a number, such as pairs=8, or pairs=auto"),
        (["pairs=auto", "limit=7"], "give limit=8 or more"),
        (["task=cnn,unet,transformer,gnn,diffusion", "pairs=auto", "limit=9"], "it needs 10"),
        (["pairs=2,3"], "pairs has 2 values"),
        (["pairs=2", "seed=0,1"], "give one of the two"),
        (["logger=csv,none"], "logger has several values"),
        (["pair=2"], "did you mean pairs"),
        (["trainer.devices=auto"], "with the number of devices"),
        (["baseline=rezero"], "choose from plain, residual"),
        (["compare=defalt"], "did you mean default"),
        (["model.dept=3"], "unknown option model.dept"),
        (["task=gn"], "did you mean gnn"),
        (["model.depth=0,2"], "model.depth=0 is refused"),
    ],
)
def test_mistakes_are_one_line(words, said, capsys, tmp_path):
    assert main(["compare", "task=gnn", *words, f"dir={tmp_path / 'no'}"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in captured.err.splitlines()[-1]
    assert not (tmp_path / "no").exists()


def cells(*words):
    _, options, given = declare(words)
    return plan(options, given)


def test_options_apply_where_they_exist():
    found = cells("task=gnn", "connection=plain,hyper", "connection.streams=2", "pairs=1")
    sections = {cell.arm: cell.config.sections["connection"] for cell in found.cells}
    assert sections["plain"] == {}
    assert sections["hyper"]["streams"] == 2


def test_a_baseline_is_any_value():
    found = cells("task=gnn", "connection=hyper", "connection.dynamic=true,false", "baseline=false")
    assert found.baselines == {"dynamic True": "dynamic False"}
    found = cells("task=unet", "model.width=[4,4],[4,8]", "model.depth=2", "baseline=[4,8]")
    assert found.baselines == {"width [4, 4]": "width [4, 8]"}
    found = cells("task=unet", "connection=plain,residual", "long=plain,concat", "model.depth=2")
    assert set(found.baselines.values()) == {"plain, plain"}
    found = cells("task=gnn", "connection=plain,residual", "norm=pre,post", "baseline=plain,post")
    assert set(found.baselines.values()) == {"plain, post"}


def test_any_option_can_be_an_axis():
    found = cells("task=cnn", "norm=pre,post", "init=default,zero_last", "baseline=post")
    assert found.baselines == {"pre, default": "post, default", "pre, zero_last": "post, zero_last"}


def test_a_cells_address_follows_from_what_can_change_its_result():
    one, other = cells("task=gnn", "pairs=1").cells[:2]
    same = cells("task=gnn", "pairs=1", "logger=none").cells[0]
    assert one.id("data") == same.id("data")
    longer = cells("task=gnn", "pairs=1", "trainer.max_steps=7").cells[0]
    ids = {one.id("data"), other.id("data"), one.id("other data"), longer.id("data")}
    assert len(ids) == 4


def test_depths_of_an_arm_share_their_recipe():
    found = cells("task=gnn", "connection=plain,residual", "model.depth=2,4", "pairs=2").cells
    assert len({(cell.arm, cell.recipe) for cell in found}) == 2
    longer = cells("task=gnn", "connection=plain,residual", "trainer.max_steps=5").cells
    assert {cell.recipe for cell in found}.isdisjoint(cell.recipe for cell in longer)


def test_noise_compares_an_arm_with_itself_under_other_seeds():
    found = cells("task=gnn", "noise=true", "pairs=2", "model.depth=2")
    assert [cell.arm for cell in found.cells] == ["plain", "plain again"] * 2
    assert len({cell.config.seed for cell in found.cells}) == 4
    found = cells("task=gnn", "noise=true", "connection=residual", "pairs=1", "model.depth=2")
    assert [cell.config.choices["connection"] for cell in found.cells] == ["residual"] * 2


def test_every_visible_gpu_has_its_worker(monkeypatch):
    for visible, names in {"2,3": ["2", "3"], "GPU-a": ["GPU-a"], "-1": [], "": []}.items():
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        assert visible_gpus() == names


def test_files_that_changed_are_other_data(tmp_path):
    file = tmp_path / "text.txt"
    file.write_text("one")
    before = data_stamp(str(tmp_path))
    assert data_stamp(str(tmp_path)) == before
    file.write_text("other")
    assert data_stamp(str(tmp_path)) != before != data_stamp(None)
