"""Whether a run repeats: its first steps once more, in a place of their own."""

import json
import os
import re

import pytest
from small_runs import ROOT, command, content
from tiny_runs import words

from zoo.cli.main import main
from zoo.config import registry

MORE = {  # draws of every kind, and a log that goes on between validations
    "cnn": "task.mixup=0.2 trainer.accumulate=2",
    "unet": "model.dropout=0.2 task.flip=true",
    "diffusion": "model.dropout=0.2 trainer.ema=0.9",
    "transformer": "model.dropout=0.2 trainer.clip=0.5",
    "gnn": "model.dropout=0.5 task.drop_edge=0.3",
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A finished run of a task, trained once."""
    found = {}

    def run(task):
        if task not in found:
            found[task] = tmp_path_factory.mktemp(task) / "run"
            given = [*words(task, MORE[task]), "trainer.max_steps=6"]
            assert main(["fit", *given, f"run.dir={found[task]}"]) == 0
        return found[task]

    return run


def verified(capsys, folder, *more, code=0):
    capsys.readouterr()
    assert main(["--json", "verify", f"from={folder}", *more]) == code
    printed = capsys.readouterr()
    assert printed.err == ""
    return json.loads(printed.out)


@pytest.mark.parametrize("task", registry.names("task"))
def test_the_log_of_a_run_comes_out_again_and_nothing_is_left_behind(
    task, runs, tmp_path, monkeypatch, capsys
):
    run = runs(task)
    before = content(run)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for steps, last in ((100, 6), (5, 4)):
        record = verified(capsys, run, f"steps={steps}")
        assert record["equal"]
        assert record["steps"] == last
        assert record["numbers"] > 4 * last / 2
        assert record["changed"] == {}
    assert content(run) == before
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_two_processes_repeat_as_well(tmp_path):
    given = [*words("gnn", MORE["gnn"]), "trainer.devices=2", "trainer.accelerator=cpu"]
    given += ["trainer.max_steps=6", f"run.dir={tmp_path / 'run'}"]
    for line in (["fit", *given], ["verify", f"from={tmp_path / 'run'}", "steps=4"]):
        process = command(*line)
        out, err = process.communicate(timeout=180)
        assert process.returncode == 0, err
    assert "log to step 4       equal" in out
    assert err == ""


def test_the_first_number_that_differs_is_told_with_the_largest_difference(runs, tmp_path, capsys):
    run = tmp_path / "run"
    rows = [json.loads(line) for line in (runs("gnn") / "metrics.jsonl").read_text().splitlines()]
    for row in rows:
        if "val/loss" in row and row["step"] > 2:
            row["val/loss"] *= 1 + row["step"] / 100
    copied(runs("gnn"), run, rows)
    record = verified(capsys, run, code=7)
    assert not record["equal"]
    assert record["different"] == 2
    assert [record[which]["step"] for which in ("first", "largest")] == [4, 6]
    assert record["largest"]["name"] == "val/loss"
    assert record["largest"]["relative"] == pytest.approx(1 - 1 / 1.06)
    assert verified(capsys, run, "steps=2")["equal"]


@pytest.mark.parametrize("spoil", [lambda rows: rows[:1] + rows[2:], lambda rows: rows + rows])
def test_rows_that_are_missing_or_there_twice_are_no_equal_log(spoil, runs, tmp_path, capsys):
    rows = [json.loads(line) for line in (runs("gnn") / "metrics.jsonl").read_text().splitlines()]
    copied(runs("gnn"), tmp_path / "run", spoil(rows))
    assert not verified(capsys, tmp_path / "run", code=7)["equal"]


def copied(run, place, rows, **changed):
    """A run with another log and other conditions in its result."""
    place.mkdir()
    (place / "config.yaml").write_bytes((run / "config.yaml").read_bytes())
    (place / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = json.loads((run / "result.json").read_text())
    for key, value in changed.items():
        result[key] = result[key] | value if isinstance(value, dict) else value
    (place / "result.json").write_text(json.dumps(result))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"versions": {"torch": "1.0"}, "machine": {"threads": 96}}, "not the same torch, threads"),
        ({"devices": {"processes": 2}}, "not the same devices"),  # torchrun had started them
        ({"data_digest": "another"}, "the data is not that of the run"),
        ({}, "code that has changed"),
    ],
)
def test_what_is_not_the_same_is_named_as_the_likely_cause(changed, said, runs, tmp_path, capsys):
    run = runs("gnn")
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    rows[-1]["val/loss"] = None
    copied(run, tmp_path / "run", rows, **changed)
    capsys.readouterr()
    assert main(["verify", f"from={tmp_path / 'run'}"]) == 7
    assert f"likely cause        {said}" in capsys.readouterr().out


def test_a_run_that_was_trained_longer_says_that_its_schedule_was_another(tmp_path, capsys):
    run = tmp_path / "run"
    given = [*words("gnn"), "optimizer.schedule=cosine", f"run.dir={run}"]
    assert main(["fit", *given, "trainer.max_steps=4"]) == 0
    assert main(["fit", f"from={run}", "trainer.max_steps=8"]) == 0
    capsys.readouterr()
    assert main(["verify", f"from={run}"]) == 7
    assert "trained longer than it began" in capsys.readouterr().out


def test_a_run_that_diverged_diverges_again(tmp_path, capsys):
    run = tmp_path / "run"
    given = [*words("gnn"), "optimizer=sgd", "optimizer.lr=1e12", "trainer.max_steps=20"]
    assert main(["fit", *given, f"run.dir={run}", "trainer.log_every=1"]) == 4
    assert verified(capsys, run)["equal"]


def test_the_tests_that_the_page_of_recovery_names_are_there():
    named = re.findall(r"([\w/]+\.py)::(\w+)", (ROOT / "tasks/recovery/README.md").read_text())
    assert named
    for file, name in named:
        assert f"\ndef {name}(" in next((ROOT / "tests").rglob(file)).read_text()


def test_what_cannot_be_verified_is_one_line(runs, tmp_path, capsys):
    run = runs("gnn")
    copied(run, tmp_path / "short", [])
    copied(run, tmp_path / "killed", [])
    os.remove(tmp_path / "killed" / "result.json")
    cases = {
        ("from=nowhere",): (5, "there is no run"),
        (f"from={tmp_path / 'short'}",): (5, "has no log"),
        (f"from={tmp_path / 'killed'}",): (5, "continue it: fit from="),
        (f"from={run}", "steps=1"): (2, "give steps=2 or more"),
        (f"from={run}", "steps=0"): (2, "greater than or equal to 1"),
        (f"from={run}", "steps=1,2"): (2, "one value"),
        (f"from={run}", "model.depth=5"): (2, "model.depth would change"),
        (f"from={run}", "trainer.max_steps=9"): (2, "trainer.max_steps would change"),
        (): (2, "add from=FOLDER"),
    }
    capsys.readouterr()
    for given, (code, said) in cases.items():
        assert main(["verify", *given]) == code
        printed = capsys.readouterr()
        assert printed.out == ""
        *_, line = printed.err.splitlines()
        assert line.startswith("zoo: error: ")
        assert said in line
