"""What `logger=csv` and `logger=tensorboard` keep of a run, read by their own readers."""

import csv
import shutil
import sys

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny_runs import words

from zoo.cli.main import main
from zoo.config.registry import build
from zoo.run_folder import RunFolder

GIVEN = {
    "csv": words("gnn", "trainer.save_minutes=0"),
    "tensorboard": words("diffusion", "task.sample_every=2", "trainer.save_minutes=0"),
}
FILES = sorted(GIVEN)

pytestmark = pytest.mark.usefixtures("drawn")


def table(folder):
    """The rows of the table, without what they have not."""
    with (folder / "csv" / "metrics.csv").open(newline="") as file:
        return [{name: v for name, v in row.items() if v} for row in csv.DictReader(file)]


def events(folder):
    """All that TensorBoard would show."""
    everything = dict.fromkeys(("scalars", "images", "tensors"), 0)
    return EventAccumulator(str(folder / "tensorboard"), everything).Reload()


def logged(folder):
    """The rows of the log as the table has them."""
    rows = RunFolder(folder).rows()
    return [{name: str(v) for name, v in row.items() if v is not None} for row in rows]


def points(folder):
    """The scalars of the log: for each name its steps and values."""
    found = {}
    for row in RunFolder(folder).rows():
        step = row.pop("step")
        for name, value in row.items():
            found.setdefault(name, []).append((step, pytest.approx(value, rel=1e-6)))
    return found


def check_table(run):
    """Asserts that the table holds the rows of the log once and the final metrics."""
    result, (*rows, last) = RunFolder(run).result(), table(run)
    assert rows == logged(run)
    final = {"step": result["steps"], "epoch": result["epochs"], **result["metrics"]}
    assert last == {key: str(value) for key, value in final.items()}


def check_events(run):
    """Asserts that TensorBoard has each step of the log once, pictures, options and metrics."""
    shown, result = events(run), RunFolder(run).result()
    for tag, expected in points(run).items():
        seen = [(event.step, event.value) for event in shown.Scalars(tag)]
        more = [(result["steps"], seen[-1][1])] if tag in result["metrics"] else []
        assert seen == expected + more
    for tag, value in result["metrics"].items():
        assert shown.Scalars(tag)[-1].value == pytest.approx(value, rel=1e-6)
    pictures = [event.step for event in shown.Images("figures/samples")]
    assert pictures == [2, 4, result["steps"]]  # on the way, and of the weights that are kept
    (text,) = shown.Tensors("config/text_summary")
    assert b"    seed: 0" in text.tensor_proto.string_val[0]
    options = shown.SummaryMetadata("_hparams_/session_start_info")
    assert options.plugin_data.plugin_name == "hparams"


@pytest.mark.parametrize(("name", "check"), [("csv", check_table), ("tensorboard", check_events)])
def test_a_run_in_parts_is_shown_as_one_and_goes_on_where_nothing_can_be(
    name, check, tmp_path, capsys
):
    run = tmp_path / "run"
    given = [word for word in GIVEN[name] if word != "logger=none"]
    assert main(["fit", *given, f"logger={name}", f"run.dir={run}", "trainer.max_steps=3"]) == 0
    assert main(["fit", f"from={run}", f"logger={name}", "trainer.max_steps=4"]) == 0
    assert "off for this run" not in capsys.readouterr().err
    check(run)
    assert main(["fit", f"from={run}", "logger=none", "trainer.max_steps=5"]) == 0
    assert f"{name}/ ends here" in capsys.readouterr().err
    assert main(["fit", f"from={run}", f"logger={name}"]) == 0  # which has nothing left to train
    check(run)
    shutil.rmtree(run / name)
    (run / name).write_text("no folder")
    capsys.readouterr()
    assert main(["fit", f"from={run}", f"logger={name}"]) == 0  # a copy that fails says so too
    assert capsys.readouterr().err.count("off for this run") == 1
    assert main(["fit", f"from={run}", f"logger={name}", "trainer.max_steps=6"]) == 0
    assert capsys.readouterr().err.count("off for this run") == 1
    assert RunFolder(run).result()["steps"] == 6


@pytest.mark.parametrize("verb", ["fit task=gnn run.dir", "compare task=gnn pairs=3 dir"])
def test_a_package_that_is_not_there_is_named_before_anything_is_written(
    verb, tmp_path, monkeypatch, capsys
):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    given = f"{verb}={tmp_path / 'run'} logger=tensorboard".split()
    assert main(given) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "pip install 'residual-zoo[tensorboard]'" in line
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("name", FILES)
def test_a_process_that_is_killed_leaves_every_row(name, tmp_path):
    logger = build("logger", name)
    logger.start(tmp_path, {"seed": 0}, {})
    rows = [{"step": 1, "=1+1": 0.5}, {"step": 2, "=1+1": 0.25, "val/loss": 3.0}]
    for row in rows:
        logger.row(row)
    logger.alert("dead_units", "step 2: [a](b)")
    if name == "csv":
        assert [row["step"] for row in table(tmp_path)] == ["1", "2"]
        assert table(tmp_path)[1] == {"step": "2", "'=1+1": "0.25", "val/loss": "3.0"}
    else:
        shown = events(tmp_path)
        assert [(e.step, e.value) for e in shown.Scalars("=1+1")] == [(1, 0.5), (2, 0.25)]
        (text,) = shown.Tensors("alerts/dead_units/text_summary")
        assert text.tensor_proto.string_val[0] == b"    step 2: [a](b)"
    logger.finish({"status": "failed", "metrics": {}}, {})
