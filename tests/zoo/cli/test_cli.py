"""What a user types and sees: one line for each mistake, and nothing touched."""

import json

import numpy as np
import pytest
from small_graphs import npz

from zoo.cli.main import main

FIT = ["fit", "task=gnn"]

MISTAKES = {  # the words, a part of the answer and, for some, the row of faults.yaml
    "no verb": ([], "choose from fit"),
    "misspelt verb": (["fitt"], "did you mean fit?"),
    "unknown flag": (["--jsn", "list"], "did you mean --json?"),
    "unknown group": (["list", "conection"], "did you mean connection?"),
    "no task": (["fit"], "tasks are cnn, diffusion, gnn"),
    "unknown task": (["fit", "task=gmn"], "did you mean gnn?", 2),
    "unknown connection": ([*FIT, "connection=residul"], "did you mean residual or"),
    "misspelt key": ([*FIT, "model.dpeth=20"], "did you mean model.depth", 1),
    "misspelt group": ([*FIT, "conection=plain"], "did you mean connection"),
    "misspelt task": (["fit", "taks=gnn"], "did you mean task?"),
    "misspelt beside a task": ([*FIT, "taks=gnn"], "did you mean task?"),
    "capitals": (["fit", "TASK=gnn"], "did you mean task?"),
    "misspelt general key": ([*FIT, "sede=1"], "did you mean seed?"),
    "misspelt section": ([*FIT, "modle.dept=3"], "did you mean model.depth?"),
    "misspelt from": (["test", "form=runs/x"], "did you mean from"),
    "a folder alone": (["test", "runs/x"], "write from=runs/x"),
    "a key as a flag": (["fit", "--task=gnn"], "write task=VALUE"),
    "misspelt in compare": (["compare", "conection=plain,residual"], "did you mean connection?"),
    "a graph's path": ([*FIT, "data.path=x"], "choose data=npz or"),
    "a folder of images": (["fit", "task=cnn", "data.path=x"], "choose data=images or"),
    "a folder of masks": (["fit", "task=unet", "data.path=x"], "choose data=masks or"),
    "a text": (["fit", "task=transformer", "data.path=x"], "choose data=text or"),
    "a path in compare": (["compare", "task=gnn", "data.path=x"], "choose data=npz or"),
    "an option of other rules": (
        [*FIT, "connection=plain", "connection.streams=4"],
        "choose connection=altup or hyper or mhc",
    ),
    "option of another rule": (
        [*FIT, "connection=plain", "connection.streams=4"],
        "unknown option",
    ),
    "a path as a name": ([*FIT, "connection=../task/gnn"], "unknown connection"),
    "wrong type": ([*FIT, "model.depth=ten"], "valid integer", 3),
    "empty value": ([*FIT, "model.depth="], "model.depth"),
    "boolean for a number": ([*FIT, "model.depth=true"], "valid integer"),
    "depth zero": ([*FIT, "model.depth=0"], "greater than or equal to 1", 3),
    "negative seed": ([*FIT, "seed=-1"], "at least 0"),
    "seed of another type": ([*FIT, "seed=abc"], "at least 0"),
    "NaN learning rate": ([*FIT, "optimizer.lr=nan"], "finite", 3),
    "infinite learning rate": ([*FIT, "optimizer.lr=inf"], "finite", 3),
    "zero learning rate": ([*FIT, "optimizer.lr=0"], "greater than 0", 3),
    "dropout of one": ([*FIT, "model.dropout=1.0"], "less than 1"),
    "unknown choice": ([*FIT, "model.conv=gat"], "gatv2"),
    "heads and width": ([*FIT, "model.conv=gatv2", "model.heads=7"], "heads=7", 6),
    "no limit": ([*FIT, "trainer.max_steps=null"], "max_epochs"),
    "fp16 on the CPU": ([*FIT, "trainer.precision=16-mixed", "trainer.accelerator=cpu"], "bf16", 6),
    "too many devices": ([*FIT, "trainer.devices=4096"], "at most", 7),
    "a sweep": ([*FIT, "model.depth=2,4"], "one value"),
    "an added key": ([*FIT, "+model.new=1"], "key=value"),
    "a deleted key": ([*FIT, "~model.depth"], "key=value"),
    "not a pair": ([*FIT, "model.depth"], "key=value"),
    "bad grammar": ([*FIT, "model.depth=[1"], "key=value"),
    "a class": ([*FIT, "connection.class=os.system"], "cannot name code", 5),
    "a target": ([*FIT, "model._target_=os.system"], "cannot name code", 5),
    "an environment resolver": ([*FIT, "logger.project=${oc.env:HOME}"], "interpolations", 5),
    "hydra's own keys": ([*FIT, "hydra.run.dir=elsewhere"], "unknown option", 8),
    "npz without a file": ([*FIT, "data=npz"], "data.path"),
    "a part too many": ([*FIT, "data.train=900", "data.val=100"], "no test nodes"),
    "a width beyond all use": (
        [*FIT, "model.width=4294967296"],
        "model.width=4294967296 is refused",
    ),
    "hostile run id": ([*FIT, "run.id=../../x"], "run.id", 40),
    "no config file": (["fit", "config=missing.yaml"], "missing.yaml"),
    "test without a run": (["test"], "from=FOLDER"),
    "a group as a verb": (["connection"], "did you mean list connection?"),
    "a name alone": (["show", "residual"], "write connection=residual or long=residual"),
    "data of another task": ([*FIT, "data=digits"], "choose from actor, csbm, npz"),
    "a model of another task": ([*FIT, "model=cnn"], "leave model out"),
    "options of a rule without": (
        [*FIT, "connection.power=1"],
        "residual has no options",
    ),
    "an option of another section": ([*FIT, "trainer.lr=1"], "did you mean optimizer.lr?"),
    "no such option": ([*FIT, "model.qqq=1"], "choose from model.checkpoint, model.conv"),
}


def marked(cases):
    """The names of cases, each with the mark of the fault that it injects."""
    return [
        pytest.param(name, marks=[pytest.mark.fault(row) for row in rows])
        for name, (_, _, *rows) in cases.items()
    ]


@pytest.mark.parametrize("case", marked(MISTAKES))
def test_mistake_is_one_line_and_exit_code_2(case, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words, hint, *_ = MISTAKES[case]
    assert main(words) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert line.startswith("zoo: error: ")
    assert line.count(" -- ") == 2
    assert hint in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        pytest.param(
            "choices: {task: gnn}\nmodel: {class: os.system}\n",
            "cannot name code",
            marks=pytest.mark.fault(5),
        ),
        pytest.param(
            "choices: {task: gnn}\nmodel: {_target_: os.system}\n",
            "cannot name code",
            marks=pytest.mark.fault(5),
        ),
        ("choices: {task: gnn}\nlogger: {project: '${oc.env:HOME}'}\n", "interpolations"),
        pytest.param(
            "choices: {task: gnn}\nmodel: {dept: 3}\n",
            "did you mean model.depth",
            marks=pytest.mark.fault(1),
        ),
        pytest.param(
            "choices: {task: gnn, modle: gnn}\n", "did you mean model?", marks=pytest.mark.fault(1)
        ),
        ("model: {depth: 3}\n", "task"),
        ("choices: [gnn]\n", "task"),
        ("? [a, b]\n: 1\n", "no plain word"),
        pytest.param("task: gnn\nmodel: {depth: 3\n", "broken YAML", marks=pytest.mark.fault(4)),
        ("task: gnn\nmodel: 3\n", "model"),
        pytest.param("taks: gnn\n", "did you mean task?", marks=pytest.mark.fault(1)),
    ],
)
def test_a_file_of_values_is_refused_as_the_command_line_is(text, hint, tmp_path, capsys):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    assert main(["fit", f"config={path}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert hint in line
    assert list(tmp_path.iterdir()) == [path]


BAD_ARRAYS = {  # as above
    "no labels": ({"y": None}, "arrays y are missing"),
    "NaN": ({"x": np.full((12, 3), np.nan)}, "NaN", 18),
    "features of one axis": ({"x": np.ones(12)}, "shape"),
    "float edges": ({"edge_index": np.ones((2, 4))}, "float64", 15),
    "edge out of range": ({"edge_index": np.array([[0], [12]])}, "0 to 12", 15),
    "negative edge": ({"edge_index": np.array([[0], [-1]])}, "-1", 15),
    "edges of the wrong shape": ({"edge_index": np.zeros((3, 4), int)}, "edge_index has shape", 15),
    "labels of the wrong length": ({"y": np.zeros(5, int)}, "y has shape"),
    "negative label": ({"y": np.full(12, -1)}, "a label is -1", 14),
    "empty part": ({"val": np.zeros(12, bool)}, "val part is empty", 17),
    "part out of range": ({"val": np.array([40])}, "outside 0 to 11"),
    "overlapping parts": ({"val": np.array([0, 5])}, "two parts", 17),
    "a node twice": ({"val": np.array([5, 5])}, "val repeats"),
    "float node numbers": ({"val": np.array([4.0, 5.0])}, "val is float64"),
    "mask of the wrong length": ({"val": np.array([True, False])}, "mask of shape [12]"),
    "features that are words": ({"x": np.array([["a"] * 3] * 12)}, "x is <U1"),
    "pickled objects": ({"y": np.array([{}] * 12, dtype=object)}, "cannot be read"),
}


@pytest.mark.parametrize("case", marked(BAD_ARRAYS))
def test_bad_data_is_one_line_and_exit_code_3(case, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    changes, hint, *_ = BAD_ARRAYS[case]
    path = npz(tmp_path / "graph.npz", **changes)
    assert main([*FIT, "data=npz", f"data.path={path}", "logger=none"]) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert hint in line
    assert str(path) in line
    assert list(tmp_path.iterdir()) == [path]


def test_missing_and_broken_data_files(tmp_path, capsys):
    broken = tmp_path / "graph.npz"
    broken.write_text("<html>not found</html>")
    whole = npz(tmp_path / "whole.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.npz").write_bytes(b"")
    np.save(tmp_path / "array.npy", np.ones(3))
    others = [tmp_path / name for name in ("cut.npz", "empty.npz", "array.npy")]
    for path in (tmp_path / "nothing.npz", broken, *others):
        assert main([*FIT, "data=npz", f"data.path={path}", "logger=none"]) == 3
        assert str(path) in capsys.readouterr().err
    assert main([*FIT, "data=planetoid", f"data.path={tmp_path}", "logger=none"]) == 3
    assert "ind.cora.x" in capsys.readouterr().err


@pytest.mark.fault(16)
def test_a_users_graph_with_odd_corners_trains(tmp_path, capsys):
    """Self-loops, doubled edges, isolated nodes: legal, and the output is finite."""
    edges = np.array([[0, 0, 1, 1, 1, 5], [0, 1, 0, 0, 1, 4]])
    path = npz(tmp_path / "graph.npz", edge_index=edges)
    words = ["data=npz", f"data.path={path}", "logger=none", f"run.dir={tmp_path / 'run'}"]
    assert main(["--json", *FIT, *words, "model.depth=3", "trainer.max_steps=3"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert all(np.isfinite(value) for value in record["metrics"].values())


def test_big_endian_arrays_are_read(tmp_path, capsys):
    path = npz(tmp_path / "graph.npz", x=np.ones((12, 3), dtype=">f4"), y=np.arange(12) % 2)
    words = ["data=npz", f"data.path={path}", "logger=none", f"run.dir={tmp_path / 'run'}"]
    assert main([*FIT, *words, "model.depth=2", "trainer.max_steps=1"]) == 0


def test_lists_and_help(capsys):
    assert main(["--help"]) == 0
    assert main(["list"]) == 0
    assert main(["list", "connection"]) == 0
    printed = capsys.readouterr().out
    for word in ("fit", "planetoid", "x' = x + F(x)", "arXiv:1512.03385"):
        assert word in printed
    assert main(["--json", "list", "connection"]) == 0
    assert {"name", "equation", "options"} <= json.loads(capsys.readouterr().out)[0].keys()
    assert main(["--version"]) == 0
