"""Folders that earlier versions wrote: they go on, and every verb works on them.

Those in `old_runs` were written by commit e8dc7c7 with the tiny settings of `tiny_runs`.
"""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from zoo.cli.main import main

OLD = Path(__file__).with_name("old_runs")
pytestmark = pytest.mark.filterwarnings("ignore:.*Sparse")


@pytest.fixture
def old(tmp_path):
    shutil.copytree(OLD, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.mark.parametrize("task", ["gnn", "diffusion"])
def test_an_old_run_goes_on_as_if_this_version_had_begun_it(task, old):
    assert main(["fit", f"from={old / task}", "trainer.max_steps=12"]) == 0
    result = json.loads((OLD / task / "result.json").read_text())
    _, _, _, *given = result["command"].split()
    assert main([*given, "trainer.max_steps=12", f"run.dir={old / 'new'}"]) == 0
    one, other = (
        load_file(old / name / "checkpoints" / "last.safetensors") for name in (task, "new")
    )
    assert one.keys() == other.keys()
    for name, value in one.items():  # equal to the last bit where the processor is the same
        torch.testing.assert_close(value, other[name], rtol=1e-4, atol=1e-5)
    one, other = (json.loads((old / name / "result.json").read_text()) for name in (task, "new"))
    assert one["metrics"] == pytest.approx(other["metrics"], rel=1e-3)
    assert one["best_step"] == other["best_step"]


@pytest.mark.parametrize(
    ("task", "verb", "shown"),
    [
        ("gnn", ["test"], "accuracy"),
        ("gnn", ["predict"], "predictions/nodes.csv"),
        ("gnn", ["verify", "steps=4"], "log to step 4       equal"),
        ("diffusion", ["test"], "loss"),
        ("diffusion", ["sample", "count=2", "steps=3"], "samples/*/grid.png"),
        ("diffusion", ["export"], "export/diffusers/unet/*.safetensors"),
    ],
)
def test_a_verb_reads_an_old_run(task, verb, shown, old, capsys):
    assert main([verb[0], f"from={old / task}", *verb[1:]]) == 0
    said = capsys.readouterr().out
    assert shown in said or list((old / task).glob(shown))


def test_an_old_comparison_has_its_report(old):
    file, text = (old / "comparison" / name for name in ("compare.json", "report.md"))
    before = json.loads(file.read_text())["cells"]
    assert main(["report", str(old / "comparison")]) == 0
    after, words = json.loads(file.read_text())["cells"], text.read_text()
    kept = ("id", "arm", "pair", "status", "metric", "train", "data_digest")
    assert [[run[key] for key in kept] for run in after] == [
        [run[key] for key in kept] for run in before
    ]
    assert all(run["place"] in words for run in before)
    assert main(["report", str(old / "comparison")]) == 0
    assert text.read_text() == words


@pytest.mark.parametrize("line", ["{", "[]\n", '{"loss": 1}\n', "1e400\n"])
def test_a_broken_line_of_a_log_is_named(line, old, capsys):
    folder = old / "gnn"
    log = folder / "metrics.jsonl"
    log.write_text(line.rstrip("\n") + "\n" + log.read_text())
    assert main(["verify", f"from={folder}", "steps=4"]) == 3
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("zoo: error: a broken line -- ")
    assert "metrics.jsonl:1 -- " in error


def test_a_result_that_is_no_object_is_none(old, capsys):
    (old / "gnn" / "result.json").write_text("[]")
    main(["verify", f"from={old / 'gnn'}", "steps=4"])
    assert "run again with --debug" not in capsys.readouterr().err
