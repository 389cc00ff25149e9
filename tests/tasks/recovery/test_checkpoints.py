"""Checkpoints: damage is seen by every verb, and no moment of writing looks like damage."""

import hashlib
import itertools
import json
import pickle
import shutil
from pathlib import Path

import kills
import pytest
import torch
from forked import start
from kills import Blow, checkpoint, third
from safetensors import safe_open
from safetensors.torch import load_file
from small_runs import SMALL, flipped, rows, weights
from tiny_runs import words

import zoo
from tasks.recovery.loading import load_best, load_last
from tasks.recovery.tensor_files import copy_checkpoint, save_checkpoint
from zoo.cli.main import main
from zoo.errors import CheckpointError
from zoo.run_folder import RunFolder

DAMAGE = {
    "flipped": flipped,
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("not a checkpoint"),
    "another": lambda path: shutil.copyfile(path.with_name("best.ckpt"), path),
    "missing": Path.unlink,
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A finished run of two tasks with a checkpoint at its last step and at the one before."""
    home = tmp_path_factory.mktemp("runs")
    for task in ("gnn", "diffusion"):
        more = ("trainer.max_steps=4", "trainer.save_minutes=0", f"run.dir={home / task}")
        assert main(["fit", *words(task, *more)]) == 0
    return home


@pytest.fixture
def run(runs, tmp_path):
    def copied(task):
        return shutil.copytree(runs / task, tmp_path / task)

    return copied


@pytest.mark.fault(30)
@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_checkpoint_is_seen_and_the_one_before_it_taken(kind, run, capsys):
    folder = run("gnn")
    good = torch.load(folder / "checkpoints" / "previous.ckpt", weights_only=True)
    assert good["global_step"] == 3
    DAMAGE[kind](folder / "checkpoints" / "last.ckpt")
    taken, _ = load_last(folder / "checkpoints")
    torch.testing.assert_close(taken["state_dict"], good["state_dict"], rtol=0, atol=0)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("previous.ckpt of step 3 is taken")
    assert "last.ckpt" in line


USES = [("gnn", "test"), ("gnn", "predict"), ("diffusion", "sample", "count=1", "steps=2")]
USES += [("diffusion", "export"), ("gnn", "fit", "trainer.max_steps=6")]


@pytest.mark.fault(30)
@pytest.mark.parametrize("use", USES, ids=lambda use: use[1])
def test_every_verb_says_what_it_takes_or_that_nothing_is_left(use, run, capsys):
    task, verb, *options = use
    folder = run(task)
    for name, code in (("last", 0), ("previous", 5)):
        copy = folder.with_name(name)
        flipped(folder / "checkpoints" / f"{name}.ckpt")
        shutil.copytree(folder, copy)
        capsys.readouterr()
        assert main([verb, f"from={copy}", *options]) == code
        lines = [line for line in capsys.readouterr().err.splitlines() if "damaged" in line]
        assert len(lines) == 1
        assert ("is taken" in lines[0]) == (code == 0)
        assert lines[0].startswith("zoo: error") == (code == 5)


def test_loaded_in_python_it_is_verified_too(run, capsys):
    folder = run("gnn")
    before = zoo.load(folder, device="cpu").module.state_dict()
    flipped(folder / "checkpoints" / "last.ckpt")
    after = zoo.load(folder, device="cpu").module.state_dict()
    assert "previous.ckpt of step 3 is taken" in capsys.readouterr().err
    assert any(not torch.equal(value, after[name]) for name, value in before.items())
    (folder / "checkpoints" / "previous.ckpt").unlink()
    with pytest.raises(CheckpointError, match="damaged"):
        zoo.load(folder)


def test_damaged_best_weights_are_those_that_the_last_checkpoint_knows(run, capsys):
    folder = run("gnn") / "checkpoints"
    last, _ = load_last(folder)
    assert load_best(folder, last)["step"] == last["callbacks"]["Best"]["step"]
    flipped(folder / "best.ckpt")
    assert load_best(folder, last) is last["callbacks"]["Best"]
    assert "best.ckpt: it or its line in SHA256SUMS is damaged" in capsys.readouterr().err


def test_a_better_step_after_best_ckpt_was_written_counts(tmp_path):
    save_checkpoint({"loss": 1.0, "step": 3, "weights": {}}, tmp_path / "best.ckpt")
    for loss, step in ((0.5, 9), (2.0, 3)):
        known = {"loss": loss, "step": 9, "weights": {"w": torch.ones(1)}}
        assert load_best(tmp_path, {"callbacks": {"Best": known}})["step"] == step


def test_digests_are_those_that_sha256sum_reads(run):
    folder = run("gnn") / "checkpoints"
    lines = dict(
        reversed(line.split("  ")) for line in (folder / "SHA256SUMS").read_text().splitlines()
    )
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix}
    assert set(files) == {"previous.ckpt", *kills.FILES}
    assert lines == {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}


def test_a_run_without_digests_is_used_and_says_so(run, capsys):
    folder = run("gnn")
    (folder / "checkpoints" / "SHA256SUMS").unlink()
    zoo.load(folder)
    assert "last.ckpt has no digest" in capsys.readouterr().err


@pytest.mark.fault(31)
def test_no_code_runs_and_no_address_is_followed(run, tmp_path, capsys):
    folder, canary = run("gnn"), tmp_path / "canary"

    class Payload:
        def __reduce__(self):
            return Path.touch, (canary,)

    for name in ("last", "previous"):
        (folder / "checkpoints" / f"{name}.ckpt").write_bytes(pickle.dumps(Payload()))
    (folder / "checkpoints" / "SHA256SUMS").unlink()
    assert main(["test", f"from={folder}"]) == 5
    assert not canary.exists()
    assert main(["test", "from=http://127.0.0.1:9/run"]) == 5


def test_after_damage_a_run_goes_on_as_if_there_were_none(runs, run, capsys):
    whole, resumed = run("gnn"), runs / "resumed"
    given = words("gnn", "trainer.save_minutes=0", f"run.dir={resumed}")
    assert main(["fit", *given, "trainer.max_steps=3"]) == 0
    flipped(resumed / "checkpoints" / "last.ckpt")
    assert main(["fit", f"from={resumed}", "trainer.max_steps=4"]) == 0
    assert rows(resumed) == rows(whole)
    torch.testing.assert_close(weights(resumed), weights(whole), rtol=0, atol=0)


def test_a_good_checkpoint_stays_when_the_run_goes_on_from_it(run, capsys):
    folder = run("gnn") / "checkpoints"
    flipped(folder / "last.ckpt")
    copy_checkpoint(folder / "previous.ckpt", folder / "last.ckpt")
    capsys.readouterr()
    assert load_last(folder)[0]["global_step"] == 3
    save_checkpoint(checkpoint(4), folder / "last.ckpt", folder / "previous.ckpt")
    assert load_last(folder)[0]["global_step"] == 4
    assert capsys.readouterr().err == ""
    flipped(folder / "last.ckpt")
    assert load_last(folder)[0]["global_step"] == 3


@pytest.mark.fault(28)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("place", ["pickle", "write", "link", "rename"])
def test_a_kill_around_any_operation_leaves_two_good_checkpoints(place, after, tmp_path, capsys):
    for call in itertools.count():
        folder = tmp_path / str(call)
        folder.mkdir()
        for step in (1, 2):
            save_checkpoint(checkpoint(step), folder / "last.ckpt", folder / "previous.ckpt")
        process = start(third, folder, Blow(place, call, after))
        process.join()
        newest, path = load_last(folder)
        assert path.name == "last.ckpt"
        assert newest["global_step"] in (2, 3)
        assert capsys.readouterr().err == ""
        flipped(path)
        older, _ = load_last(folder)
        assert older["global_step"] <= newest["global_step"]
        assert older["state_dict"]["weight"].unique() == older["global_step"]
        if process.exitcode == 0:
            assert (call > 0, newest["global_step"]) == (True, 3)
            return
        capsys.readouterr()


def test_equal_content_gives_equal_bytes(tmp_path):
    name = "".join(["na", "me"])
    first = {"name": [name, name, "".join(["na", "me"])], "pair": (1, 2.5), "x": torch.ones(3)}
    save_checkpoint(first, tmp_path / "a.ckpt")
    save_checkpoint(torch.load(tmp_path / "a.ckpt", weights_only=True), tmp_path / "b.ckpt")
    assert (tmp_path / "a.ckpt").read_bytes() == (tmp_path / "b.ckpt").read_bytes()


@pytest.mark.parametrize("task", ["gnn", "diffusion"])
@pytest.mark.parametrize("name", ["last", "best"])
def test_safetensors_are_the_weights_of_the_model(name, task, run):
    folder = run(task)
    path = folder / "checkpoints" / f"{name}.safetensors"
    found = load_file(path)
    net = zoo.load(folder, weights=name, device="cpu").module
    assert found.keys() == net.state_dict().keys()
    net.load_state_dict(found)
    for key, value in zoo.load(folder, weights=name, device="cpu").module.state_dict().items():
        assert torch.equal(found[key], value), key
    with safe_open(path, "pt") as file:
        metadata = json.loads(file.metadata()["zoo"])
    result = RunFolder(folder).result()
    assert metadata["step"] == result["steps" if name == "last" else "best_step"]
    assert (metadata["task"], metadata["depth"]) == (task, result["depth"])


def test_a_run_without_a_checkpoint_starts_again_by_both_commands(tmp_path, capsys):
    """It is left as a kill in its first steps would leave it."""
    given = [*SMALL, "logger=none", f"run.dir={tmp_path / 'run'}"]
    assert main(["fit", *given]) == 0
    for command in (given, [f"from={tmp_path / 'run'}"]):
        run = RunFolder(tmp_path / "run")
        wanted, config = rows(run.path), (run.path / "config.yaml").read_text()
        shutil.rmtree(run.checkpoints)
        (run.path / "result.json").unlink()
        (run.path / ".result.json.tmp1").touch()
        assert main(["fit", *command]) == 0
        assert "no checkpoint yet" in capsys.readouterr().err
        assert rows(run.path) == wanted
        assert (run.path / "config.yaml").read_text() == config
        assert not list(run.path.rglob(".*.tmp*"))


def test_another_run_does_not_start_in_its_folder(tmp_path, capsys):
    given = [*SMALL, "logger=none", f"run.dir={tmp_path / 'run'}"]
    assert main(["fit", *given]) == 0
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    (tmp_path / "run" / "result.json").unlink()
    assert main(["fit", *given, "seed=1"]) == 2
    assert "not empty" in capsys.readouterr().err


def test_a_longer_run_that_is_killed_is_not_complete(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "run"
    given = [*SMALL, "logger=none", f"run.dir={folder}"]
    assert main(["fit", *given]) == 0
    longer = [f"from={folder}", "trainer.max_steps=30"]
    with monkeypatch.context() as patch:
        patch.setattr("tasks.training.run.train", lambda *_: None)
        main(["fit", *longer])
    assert main(["fit", f"from={folder}"]) == 0
    assert RunFolder(folder).result()["steps"] == 30
    assert RunFolder(folder).result()["command"].count("max_steps") == 1
