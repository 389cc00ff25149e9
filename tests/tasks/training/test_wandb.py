"""What W&B receives of a run that is continued offline, read from its files."""

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import until
from forked import speak, start
from read_wandb import uploaded
from tiny_runs import words

from zoo.cli.main import main
from zoo.run_folder import RunFolder

GIVEN = words("diffusion", "task.sample_every=2", "trainer.save_minutes=0")
GIVEN.remove("logger=none")


pytestmark = pytest.mark.usefixtures("drawn")


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.delenv("WANDB_SERVICE", raising=False)  # a process that is killed has its own


def typed(printed):
    """The file that the one printed command uploads, as the shell and `wandb` understand it."""
    (line,) = [line for line in printed.splitlines() if "wandb sync" in line]
    wandb = f"{shlex.quote(sys.executable)} -m wandb"
    text = line.partition("upload by: wandb ")[2]
    done = subprocess.run(f"{wandb} {text} --dry-run", shell=True, capture_output=True, text=True)
    assert "Would sync 1 run(s)" in done.stdout + done.stderr, done
    (file,) = Path(shlex.split(text)[-1]).glob("*.wandb")
    return file


def check_whole(file, run):
    """Asserts that a file holds all that the run's folder tells, each step once and in order."""
    shown, result = uploaded(file), RunFolder(run).result()
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert shown["ids"] == {config["run"]["id"]}
    assert shown["config"]["trainer"] == config["trainer"]
    steps = {}
    for row in RunFolder(run).rows():
        steps.setdefault(row.pop("step"), {}).update(row)
    assert [row["_step"] for row in shown["history"]] == sorted(steps)
    for row in shown["history"]:
        step = row["_step"]
        assert {name: row[name] for name in steps[step]} == steps[step]
        if (run / "figures" / f"samples_{step:06d}.png").is_file():
            assert (file.parent / "files" / row["figures/samples/path"]).is_file()
    assert shown["ended"]
    assert shown["summary"]["status"] == result["status"]
    assert {name: shown["summary"][name] for name in result["metrics"]} == result["metrics"]
    return shown


def test_a_run_in_three_parts_is_uploaded_as_one(tmp_path, capsys):
    run, files = tmp_path / "a run's folder", set()
    for steps in (3, 5, 8):
        given = [*GIVEN, f"run.dir={run}"] if steps == 3 else [f"from={run}"]
        assert main(["fit", *given, f"trainer.max_steps={steps}"]) == 0
        file = typed(capsys.readouterr().err)
        files.add(file)
        shown = check_whole(file, run)
    assert [row["_step"] for row in shown["history"]] == [2, 4, 6, 8]
    assert all("figures/samples/path" in row for row in shown["history"])
    assert len(files) == 3
    assert [file for file in files if file.exists()] == [file]  # an older command uploads nothing


def test_a_run_that_was_killed_past_its_checkpoint_is_uploaded_as_one(tmp_path, capsys):
    run, last = tmp_path / "run", tmp_path / "last.ckpt"

    def done():
        return max((row["step"] for row in RunFolder(run).rows()), default=0)

    endless = ["fit", *GIVEN, f"run.dir={run}", "trainer.max_steps=100000"]
    process = start(speak, endless, tmp_path / "told.txt")
    until(lambda: done() >= 6 or not process.is_alive())
    shutil.copy(run / "checkpoints" / "last.ckpt", last)
    kept = done()
    until(lambda: done() >= kept + 6 or not process.is_alive())
    process.kill()
    process.join()
    lost = done()
    shutil.copy(last, run / "checkpoints" / "last.ckpt")
    assert main(["fit", f"from={run}", f"trainer.max_steps={lost + 4}"]) == 0
    check_whole(typed(capsys.readouterr().err), run)
