"""The verb `diagnose`, on fresh nets and on runs."""

import json
from pathlib import Path

import pytest
from read_page import Page
from tiny_runs import words

from tasks.inference.diagnose import diagnosed, page_folder
from zoo.cli.main import main
from zoo.config.compose import load

DEEP = ["task=cnn", "connection=plain", "model.depth=56", "model.width=8"]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def recorded(capsys, *more):
    capsys.readouterr()
    assert main(["--json", "diagnose", *more]) == 0
    return json.loads(capsys.readouterr().out)


def stream(*words):
    return diagnosed(
        load(["task=cnn", "model.depth=8", "trainer.accelerator=cpu", *words])[0]
    ).profile


def test_a_deep_plain_net_is_named_with_the_comparison_that_tests_its_cure(capsys):
    record = recorded(capsys, *DEEP, "full=false", "pairs=3")
    assert [finding["cause"] for finding in record["findings"]] == ["exploding_gradients"]
    (command,) = record["commands"]
    words = "task=cnn model.depth=56 model.width=8 trainer.max_epochs=10"
    words += " connection=plain,residual pairs=3"
    assert command == f"python -m zoo compare {words}"
    assert len(record["profiles"]["share"]["places"]) == 27
    page = Page(Path(record["page"]))
    assert "cnn, plain, depth 56, before training" in page.text
    assert page.text.index("exploding gradients") < page.text.index(command)
    assert "It has not run yet" in page.text
    assert main([*command.split()[3:], "max_cells=5"]) == 2
    assert "6 runs are more than 5" in capsys.readouterr().err


def test_a_healthy_net_says_so_with_its_stream_and_its_page(capsys):
    assert main(["diagnose", "task=cnn", "model.depth=14", "model.width=8", "full=true"]) == 0
    text = capsys.readouterr().out.splitlines()
    assert text[0] == "No known cause is found."
    assert text[2].split() == ["write", "stream", "branch/stream", "gradient"]
    assert text[-3].startswith("model.body.sites.5")
    path = Path(text[-1].removeprefix("page: "))
    assert path.parent.parent == Path("runs")
    assert path.parent.name.startswith("diagnosis-cnn-residual-")
    page = Page(path)
    assert "Gradient by the length of its way" in page.text
    assert "Loss without one branch" not in page.text  # nothing is learned yet


def test_a_page_has_a_folder_for_each_net_or_the_one_that_is_named():
    folders = [
        page_folder(load(["task=cnn", *more])[0], where)
        for more, where in (([], None), (["seed=1"], None), (["logger=none"], None), ([], "here"))
    ]
    assert folders[0] == folders[2] == Path("runs/diagnosis-cnn-residual")
    assert folders[1].name.startswith("diagnosis-cnn-residual-")
    assert folders[3] == Path("here")


def test_a_fresh_net_is_that_with_which_training_begins():
    one, again, other, ruled = (
        stream(*more).branch.tolist() for more in ([], [], ["seed=1"], ["init=zero_last"])
    )
    assert one == again != other
    assert ruled == [0.0] * len(one)


def test_the_pass_has_the_precision_of_training():
    full, half = (stream(f"trainer.precision={p}").stream for p in ("32-true", "bf16-mixed"))
    assert half.tolist() != full.tolist()
    assert half.tolist() == pytest.approx(full.tolist(), rel=0.05)


@pytest.mark.parametrize(
    "task",
    ["transformer", "gnn"]
    + [pytest.param(task, marks=pytest.mark.slow) for task in ("cnn", "unet", "diffusion")],
)
def test_a_run_gets_its_page_and_is_only_read(task, tmp_path, capsys):
    run = tmp_path / "run"
    assert main(["fit", *words(task, "trainer.max_steps=3"), f"run.dir={run}"]) == 0
    before = {file: file.read_bytes() for file in run.rglob("*") if file.is_file()}
    record = recorded(capsys, f"from={run}")
    assert record["profiles"]["without"]["lines"].keys() == {"without the branch", "intact"}
    after = {file: file.read_bytes() for file in run.rglob("*") if file.is_file()}
    assert "trained in run" in after.pop(run / "diagnosis.html").decode()
    assert record["page"] == str(run / "diagnosis.html")
    assert after == before
    for weights in (run / "checkpoints").iterdir():
        weights.unlink()
    assert main(["diagnose", f"from={run}"]) == 5
    assert "zoo: error: " in capsys.readouterr().err


@pytest.mark.slow
def test_try_runs_the_comparison_and_adds_its_verdict(capsys):
    net = ["task=gnn", "connection=plain", "model.depth=32", "model.width=8", "data.nodes=100",
           "data.train=30", "data.val=30", "trainer.max_steps=3", "logger=none"]  # fmt: skip
    record = recorded(capsys, *net, "try=true", "pairs=1", "vary=nothing", "workers=1")
    assert record["findings"]
    (trial,) = record["trials"]
    assert trial["command"] == record["commands"][0]
    assert trial["code"] == 0
    ((arms, verdict, _, pairs, place),) = trial["verdicts"]
    assert (place, arms, pairs) == ("gnn, depth 32", "residual against plain", "1")
    path = Path(record["page"])
    assert verdict in Page(path).text
    assert "residual" in (path.parent / trial["report"]).read_text()


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (["from=/nowhere"], 5, "there is no run"),
        (["task=cnn", "depth=3"], 2, "unknown"),
        (["task=cnn", "try=maybe"], 2, "try='maybe' is refused"),
        (["task=cnn", "full=3"], 2, "full=3 is refused"),
        (["task=cnn", "pairs=few"], 2, "pairs='few' is refused"),
        (["task=cnn", "pairs=3", "limit=5"], 2, "limit is of pairs=auto alone"),
        (["task=cnn", "dir=/dev/null/here"], 2, "dir=FOLDER"),
        (["task=cnn", "connection=plain,residual"], 2, "several values"),
        (["task=cnn", "data=images", "data.path=/nowhere"], 3, "/nowhere"),
    ],
)
def test_mistakes_are_one_line(more, code, said, capsys):
    assert main(["diagnose", *more]) == code
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
