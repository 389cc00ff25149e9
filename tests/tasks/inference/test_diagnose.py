"""The verb `diagnose`, on fresh nets and on runs."""

import json

import pytest
from tiny_runs import words

from zoo.cli.main import main

DEEP = ["task=cnn", "connection=plain", "model.depth=56", "model.width=8"]


def diagnosed(capsys, *more, code=0):
    capsys.readouterr()
    assert main(["--json", "diagnose", *more]) == code
    return json.loads(capsys.readouterr().out)


def test_a_deep_plain_net_is_named_with_the_comparison_that_tests_its_cure(capsys):
    record = diagnosed(capsys, *DEEP)
    assert [finding["cause"] for finding in record["findings"]] == ["exploding_gradients"]
    assert record["commands"] == [
        "python -m zoo compare task=cnn model.depth=56 model.width=8 connection=plain,residual"
    ]
    assert len(record["profile"]["modules"]) == 27


def test_the_command_that_it_prints_is_one(capsys):
    (command,) = diagnosed(capsys, *DEEP)["commands"]
    assert main([*command.split()[3:], "max_cells=15"]) == 2
    assert "16 runs are more than 15" in capsys.readouterr().err


def test_a_residual_net_of_the_same_depth_is_healthy(capsys):
    assert main(["diagnose", "task=cnn", "model.depth=56", "model.width=8"]) == 0
    text = capsys.readouterr().out.splitlines()
    assert text[0] == "No known cause is found."
    assert text[2].split() == ["write", "stream", "branch/stream", "gradient"]
    assert text[-1].startswith("model.body.sites.26")


def test_a_fresh_net_is_that_with_which_training_begins(capsys):
    net = ["task=cnn", "model.depth=8", "trainer.accelerator=cpu"]
    one, again, other, ruled = (
        diagnosed(capsys, *net, *more)["profile"]["branch"]
        for more in ([], [], ["seed=1"], ["init=zero_last"])
    )
    assert one == again != other
    assert ruled == [0.0] * len(one)


def test_the_pass_has_the_precision_of_training(capsys):
    net = ["task=cnn", "model.depth=8", "trainer.accelerator=cpu"]
    full = diagnosed(capsys, *net, "trainer.precision=32-true")["profile"]["stream"]
    half = diagnosed(capsys, *net, "trainer.precision=bf16-mixed")["profile"]["stream"]
    assert half != full
    assert half == pytest.approx(full, rel=0.05)


@pytest.mark.parametrize("task", ["cnn", "unet", "transformer", "gnn", "diffusion"])
def test_a_run_is_only_read(task, tmp_path, capsys):
    run = tmp_path / "run"
    assert main(["fit", *words(task, "trainer.max_steps=3"), f"run.dir={run}"]) == 0
    before = {file: file.read_bytes() for file in run.rglob("*") if file.is_file()}
    record = diagnosed(capsys, f"from={run}")
    assert record["profile"]["modules"]
    assert {file: file.read_bytes() for file in run.rglob("*") if file.is_file()} == before


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (["from=/nowhere"], 5, "there is no run"),
        (["task=cnn", "depth=3"], 2, "unknown"),
        (["try=true", "task=cnn"], 2, "unknown"),
    ],
)
def test_mistakes_are_one_line(more, code, said, capsys):
    assert main(["diagnose", *more]) == code
    assert said in capsys.readouterr().err
