"""A run as a user meets it: folder, result, continuation, W&B, several processes."""

import json
import math
import os
import pickle
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import wandb
import yaml
from conftest import until
from forked import speak, start
from pytorch_lightning import Callback
from small_runs import SMALL, command, fit, rows, weights

from tasks.gnn.task import NodeClassification
from tasks.recovery.checkpoints import AtomicCheckpointIO, Checkpointer
from tasks.recovery.signals import SignalHandler
from tasks.training.build import build_task, build_trainer_options
from tasks.training.process import logged
from tasks.training.process_memory import (
    LIBC,
    forget_peak_memory,
    keep_freed_memory,
    peak_memory_bytes,
)
from zoo.cli.main import main
from zoo.config.compose import load
from zoo.run_folder import RunFolder


@pytest.mark.usefixtures("drawn")
def test_run_folder(tmp_path, capsys):
    result = fit(tmp_path / "run")
    printed = capsys.readouterr()
    assert str(tmp_path / "run") in printed.out
    assert "accuracy" in printed.out
    assert result["status"] == "done"
    assert result["steps"] == 20
    assert result["primary"]["value"] == result["metrics"]["test/accuracy"]
    for part in ("train", "val", "test"):
        assert 0 <= result["metrics"][f"{part}/accuracy"] <= 1
        assert f"{part}/accuracy_at_best_val" in result["metrics"]
    run = tmp_path / "run"
    steps = [row["step"] for row in rows(run)]
    assert steps == sorted(steps)
    assert {10, 20} <= set(steps)
    assert {path.name for path in (run / "figures").iterdir()} == {
        "curves.png",
        "dirichlet_energy.png",
        "mixing.png",
    }
    assert len(result["curves"]["dirichlet_energy"]) == 5
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["model"]["depth"] == 4


def test_config_of_a_run_repeats_it(tmp_path, monkeypatch, capsys):
    first = fit(tmp_path / "first", "connection=rezero", "seed=5")
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    assert main(["--json", "fit", "config=first/config.yaml"]) == 0
    second = json.loads(capsys.readouterr().out)
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.startswith("gnn-rezero-")
    assert second["metrics"] == first["metrics"]
    assert second["branch_digest"] == first["branch_digest"]


@pytest.mark.fault(37)
def test_a_folder_is_never_written_over(tmp_path, capsys):
    fit(tmp_path / "run")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*")}
    fit(tmp_path / "run", code=2)
    assert "not empty" in capsys.readouterr().err
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*")}


def test_metrics_of_the_best_step_are_those_of_its_weights(tmp_path, capsys):
    result = fit(tmp_path / "run", "trainer.validate_every=1", "optimizer.lr=0.1")
    losses = {row["step"]: row["val/loss"] for row in rows(tmp_path / "run") if "val/loss" in row}
    assert result["best_step"] == min(losses, key=losses.get)
    best = result["metrics"]["val/loss_at_best_val"]
    assert best == pytest.approx(min(losses.values()), rel=1e-5)


def test_patience_counts_steps(tmp_path, capsys):
    words = ("trainer.validate_every=1", "trainer.patience=3", "trainer.max_steps=400")
    result = fit(tmp_path / "run", *words, "optimizer.lr=0.1")
    assert result["steps"] == result["best_step"] + 3


def test_test_measures_the_same_again(tmp_path, capsys):
    result = fit(tmp_path / "run")
    capsys.readouterr()
    assert main(["--json", "test", f"from={tmp_path / 'run'}"]) == 0
    again = json.loads(capsys.readouterr().out)["metrics"]
    assert again == pytest.approx(result["metrics"], rel=1e-5)


def test_a_longer_run_continues_where_the_shorter_one_ended(tmp_path, capsys):
    """With dropout: the random states come back too."""
    fit(tmp_path / "whole", "trainer.max_steps=30")
    fit(tmp_path / "resumed")
    assert main(["fit", f"from={tmp_path / 'resumed'}", "trainer.max_steps=30"]) == 0
    whole, resumed = weights(tmp_path / "whole"), weights(tmp_path / "resumed")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert rows(tmp_path / "whole") == rows(tmp_path / "resumed")


@pytest.mark.fault(34)
def test_a_finished_run_is_left_alone(tmp_path, capsys):
    fit(tmp_path / "run")
    before = (tmp_path / "run" / "result.json").stat().st_mtime_ns
    assert main(["fit", f"from={tmp_path / 'run'}"]) == 0
    assert "already complete" in capsys.readouterr().err
    assert before == (tmp_path / "run" / "result.json").stat().st_mtime_ns


def test_continuing_with_other_options_is_refused(tmp_path, capsys):
    fit(tmp_path / "run")
    capsys.readouterr()
    for words in (["model.depth=5"], ["connection=plain"], ["seed=1"], ["optimizer.lr=0.1"]):
        assert main(["fit", f"from={tmp_path / 'run'}", *words]) == 2
        error = capsys.readouterr().err
        assert words[0].partition("=")[0] in error
        assert "->" in error


BAD_CHECKPOINTS = {"missing": None, "empty": b"", "text": b"not a checkpoint"}


@pytest.mark.fault(31)
@pytest.mark.parametrize("case", [*BAD_CHECKPOINTS, "truncated", "malicious"])
def test_bad_checkpoints_are_exit_code_5_and_run_nothing(case, tmp_path, capsys):
    fit(tmp_path / "run", "trainer.max_steps=2")
    path, canary = tmp_path / "run" / "checkpoints" / "last.ckpt", tmp_path / "canary"

    class Payload:
        def __reduce__(self):
            return Path.touch, (canary,)

    content = BAD_CHECKPOINTS.get(case)
    if case == "truncated":
        content = path.read_bytes()[:1000]
    if case == "malicious":
        content = pickle.dumps(Payload())
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    for words in (["test"], ["fit", "trainer.max_steps=9"]):
        assert main([words[0], f"from={tmp_path / 'run'}", *words[1:]]) == 5
        assert "last.ckpt" in capsys.readouterr().err
    assert not canary.exists()


@pytest.mark.fault(24)
def test_a_diverging_run_ends_with_4_and_says_so(tmp_path, capsys):
    words = ("optimizer.lr=1e30", "optimizer=sgd", "trainer.log_every=1")
    result = fit(tmp_path / "run", *words, code=4)
    assert result["status"] == "diverged"
    assert "lower optimizer.lr" in capsys.readouterr().err
    assert "Diverged" in (tmp_path / "run" / "log.txt").read_text()
    assert all(math.isfinite(row.get("train/loss", 0)) for row in rows(tmp_path / "run"))


@pytest.mark.parametrize(
    "words",
    [
        ["trainer.ema=0.9", "trainer.clip=0.5", "trainer.accumulate=2"],
        ["optimizer=adamw", "optimizer.schedule=cosine", "optimizer.warmup=3", "norm=pre"],
        ["optimizer=sgd", "optimizer.schedule=linear", "task.drop_edge=0.5", "model.jump=cat"],
        ["model.conv=gcn2", "connection=initial", "norm=post", "model.norm=pair"],
        ["trainer.max_steps=null", "trainer.max_epochs=3"],
        ["model.checkpoint=true", "connection=denseformer"],
        ["model.checkpoint=2", "optimizer.warmup_epochs=3"],
    ],
)
def test_options_train_and_continue(words, tmp_path, capsys):
    result = fit(tmp_path / "run", *words)
    assert all(math.isfinite(value) for value in result["metrics"].values())
    more = "trainer.max_epochs=25" if "trainer.max_epochs=3" in words else "trainer.max_steps=25"
    assert main(["fit", f"from={tmp_path / 'run'}", more]) == 0
    assert RunFolder(tmp_path / "run").result()["steps"] == 25


def test_averaged_weights_are_evaluated(tmp_path, capsys):
    result = fit(tmp_path / "run", "trainer.ema=0.999", "trainer.validate_every=20")
    validated = [row["val/loss"] for row in rows(tmp_path / "run") if "val/loss" in row]
    assert result["metrics"]["val/loss"] == pytest.approx(validated[-1], rel=1e-5)
    live = fit(tmp_path / "live", "trainer.validate_every=20")
    assert result["metrics"]["val/loss"] > live["metrics"]["val/loss"]


def test_accumulated_batches_are_one_step(tmp_path, capsys):
    """Two equal batches have the mean gradient of one, so the runs agree."""
    quiet = ("model.dropout=0.0", "trainer.max_steps=5")
    fit(tmp_path / "one", *quiet)
    fit(tmp_path / "two", *quiet, "trainer.accumulate=2")
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    assert all(torch.allclose(one[name], two[name], atol=1e-5) for name in one)


def test_dropped_edges_continue_too(tmp_path, capsys):
    words = ("task.drop_edge=0.3", "model.dropout=0.0")
    fit(tmp_path / "whole", *words, "trainer.max_steps=8")
    fit(tmp_path / "resumed", *words, "trainer.max_steps=4")
    assert main(["fit", f"from={tmp_path / 'resumed'}", "trainer.max_steps=8"]) == 0
    whole, resumed = weights(tmp_path / "whole"), weights(tmp_path / "resumed")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_seconds_per_step_is_of_the_steps_taken(tmp_path, capsys):
    first = fit(tmp_path / "run", "trainer.max_steps=60")
    assert main(["fit", f"from={tmp_path / 'run'}", "trainer.max_steps=62"]) == 0
    second = RunFolder(tmp_path / "run").result()
    assert second["seconds"] > first["seconds"]
    assert second["seconds_per_step"] > second["seconds"] / 62 / 20


GIVEN_BACK = """
import ctypes
from pathlib import Path
from tasks.training.process_memory import LIBC, TRIM_THRESHOLD, keep_freed_memory

LIBC.malloc.restype, LIBC.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1])

def given_back():
    blocks = [LIBC.malloc(2**16) for _ in range(1024)]
    for block in blocks:
        ctypes.memset(block, 1, 2**16)
    held = resident()
    for block in blocks:
        LIBC.free(block)
    return held - resident()

LIBC.mallopt(TRIM_THRESHOLD, 2**17)  # where glibc starts
print(given_back())
keep_freed_memory()
print(given_back())
"""


@pytest.mark.skipif(not hasattr(LIBC, "mallopt"), reason="not glibc")
def test_freed_memory_is_kept_for_the_next_step():
    done = subprocess.run([sys.executable, "-c", GIVEN_BACK], capture_output=True, check=True)
    before, kept = (int(pages) * resource.getpagesize() / 2**20 for pages in done.stdout.split())
    assert before > 48  # MiB of 64
    assert kept < 16


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux alone forgets")
def test_peak_memory_is_that_of_one_run():
    keep_freed_memory()
    forget_peak_memory()
    held = [torch.ones(2**18) for _ in range(256)]  # 1 MiB each
    before = peak_memory_bytes()
    del held
    forget_peak_memory()
    assert peak_memory_bytes() < before - 2**27


@pytest.mark.parametrize("again", [["run.dir={}"], ["from={}"]])
def test_a_run_that_ended_while_its_folder_was_asked_for_stays(again, tmp_path, monkeypatch):
    """What is checked before the data are loaded is checked again before anything is written."""
    from tasks.training import build as module

    folder, check = tmp_path / "run", module.checked_data
    if "from" in again[0]:
        folder.mkdir()
        RunFolder(folder).create()
        config = load(["task=gnn", f"run.dir={folder}", "run.id=r", "logger=none"])[0]
        RunFolder(folder).write_config(config.plain(), [])

    def slow(config, data):
        for path in (folder / "checkpoints").glob("*"):
            path.unlink()
        (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
        (folder / "checkpoints" / "last.ckpt").write_bytes(b"of another process")
        return check(config, data)

    monkeypatch.setattr(module, "checked_data", slow)
    words = ["task=gnn", "logger=none"] if "run.dir" in again[0] else []
    assert main(["fit", *words, again[0].format(folder)]) == 2
    assert (folder / "checkpoints" / "last.ckpt").read_bytes() == b"of another process"


def test_divergence_between_two_rows_is_found_at_the_end(tmp_path, capsys):
    words = ("optimizer=sgd", "optimizer.lr=1e30", "trainer.max_steps=5")
    assert fit(tmp_path / "run", *words, code=4)["status"] == "diverged"
    said = capsys.readouterr().err
    assert "not finite at step 2, batch 2: first in the output of model." in said
    assert "-- training -- lower optimizer.lr" in said


@pytest.mark.fault(24)
@pytest.mark.parametrize("where", ["weight", "buffer", "optimizer"])
def test_numbers_that_are_lost_replace_no_good_checkpoint(where, tmp_path, monkeypatch, capsys):
    step = NodeClassification.loss

    def spoiled(self, batch, shard):
        if self.trainer.global_step == 3:
            target = {
                "weight": lambda: next(self.model.parameters()),
                "buffer": lambda: next(b for b in self.buffers() if b.is_floating_point()),
                "optimizer": lambda: next(iter(self.trainer.optimizers[0].state.values()))[
                    "exp_avg"
                ],
            }[where]()
            target.detach().view(-1)[0] = math.nan
        return step(self, batch, shard)

    monkeypatch.setattr(NodeClassification, "loss", spoiled)
    words = ["norm=pre", "model.norm=batch", "trainer.save_minutes=0", "trainer.max_steps=6"]
    result = fit(tmp_path / "run", *words, code=4)
    assert result["status"] == "diverged"
    kept = torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)
    assert kept["global_step"] == 3
    values = [v for v in kept["state_dict"].values() if v.is_floating_point()]
    assert all(value.isfinite().all() for value in values)


def test_a_run_without_a_validation_still_has_a_best_step(tmp_path, capsys):
    result = fit(tmp_path / "run", "trainer.max_steps=3")
    assert result["best_step"] == 3
    last, best = (result["metrics"][f"test/loss{at}"] for at in ("", "_at_best_val"))
    assert best == pytest.approx(last)


@pytest.mark.fault(32)
def test_other_data_is_not_evaluated_silently(tmp_path, capsys):
    from small_graphs import npz

    npz(tmp_path / "one.npz")
    npz(tmp_path / "two.npz", y=(torch.arange(12) < 6).long().numpy())
    fit(tmp_path / "run", "data=npz", f"data.path={tmp_path / 'one.npz'}", "trainer.max_steps=2")
    for verb in ("test", "fit"):
        words = [f"from={tmp_path / 'run'}", f"data.path={tmp_path / 'two.npz'}"]
        assert main([verb, *words]) == 2
        assert "data" in capsys.readouterr().err


def test_random_states_survive_a_checkpoint():
    keep = Checkpointer(Path(), 1.0, None, 1, False)
    state = keep.state_dict()
    first = torch.rand(3)
    keep.load_state_dict(state)
    assert torch.equal(torch.rand(3), first)


@pytest.mark.fault(29)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_is_saved_and_continues(number, code, tmp_path, capsys):
    run, told = tmp_path / "run", tmp_path / "told.txt"
    words = [*SMALL, "logger=none", f"run.dir={run}", "trainer.max_steps=100000"]
    process = start(speak, ["fit", *words], told)
    until(lambda: list(RunFolder(run).rows()) or not process.is_alive())
    os.kill(process.pid, number)
    process.join()
    err = told.read_text()
    assert process.exitcode == code, err
    result = RunFolder(run).result()
    assert result["status"] == "interrupted"
    assert f"continue: fit from={run}" in err
    steps = result["steps"]
    assert main(["fit", f"from={run}", f"trainer.max_steps={steps + 5}"]) == 0
    assert RunFolder(run).result()["steps"] == steps + 5


def test_a_run_ends_between_two_steps(tmp_path):
    """A signal after the first of three batches of a step lets the step end."""

    class Signal(Callback):
        def on_train_batch_end(self, *_):
            interrupts.received = signal.SIGTERM

    words = [*SMALL, "trainer.max_steps=5", "trainer.accelerator=cpu", "trainer.accumulate=3"]
    config, _ = load(words)
    training, task = build_trainer_options(config), build_task(config)
    with logged(None), SignalHandler() as interrupts:
        keep = Checkpointer(tmp_path / "last.ckpt", 1.0, interrupts, 1, False)
        trainer = training.trainer(task, [Signal(), keep], [AtomicCheckpointIO()])
        trainer.fit(task)
    assert (keep.batches, trainer.global_step) == (3, 1)


def test_a_signal_to_one_process_ends_all(tmp_path):
    run = tmp_path / "run"
    words = [*SMALL, "logger=none", f"run.dir={run}", "trainer.max_steps=100000"]
    process = command("fit", *words, "trainer.devices=2", "trainer.accelerator=cpu")
    until(lambda: list(RunFolder(run).rows()) or process.poll() is not None)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=180)
    assert process.returncode == 143, err
    assert "Traceback" not in err
    assert RunFolder(run).result()["status"] == "interrupted"


@pytest.mark.usefixtures("drawn")
def test_wandb_offline_by_default(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    assert main(["fit", *SMALL, f"run.dir={tmp_path / 'run'}"]) == 0
    (folder,) = (tmp_path / "run" / "wandb").glob("offline-run-*")
    (file,) = folder.glob("*.wandb")
    content = file.read_bytes()
    for word in (b"gnn-csbm-4", b"dirichlet_energy", b"residual", b"val/accuracy"):
        assert word in content
    import wandb

    assert wandb.run is None


@pytest.mark.usefixtures("drawn")
@pytest.mark.fault(36)
def test_wandb_out_of_reach_is_one_warning(tmp_path, monkeypatch, capsys):
    key = "0123456789" * 4
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setenv("WANDB_API_KEY", key)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("tasks.training.wandb_logger.START_SECONDS", 3)
    wandb.teardown()  # it keeps the settings of earlier runs
    assert main(["fit", *SMALL, f"run.dir={tmp_path / 'run'}"]) == 0
    read, *lines = [line for line in capsys.readouterr().err.splitlines() if "step" not in line]
    assert read.startswith("zoo: csbm seed 0: 1,000 nodes")
    assert all(line.startswith("zoo: W&B") for line in lines)
    assert ["cannot be reached" in line for line in lines] == [True, False]
    assert list((tmp_path / "run" / "wandb").glob("offline-run-*"))
    for path in (tmp_path / "run").rglob("*"):
        if path.is_file():
            assert key.encode() not in path.read_bytes(), path


@pytest.mark.slow
def test_a_compiled_run_learns_the_same(tmp_path, capsys):
    counted = torch._dynamo.utils.counters
    counted.clear()
    words = ("model.depth=2", "model.dropout=0.0")
    compiled = fit(tmp_path / "compiled", *words, "trainer.compile=true")
    assert counted["stats"]["unique_graphs"] > 0
    eager = fit(tmp_path / "eager", *words)
    assert compiled["metrics"] == pytest.approx(eager["metrics"], abs=1e-3)


@pytest.mark.soak
@pytest.mark.parametrize(
    ("preset", "seeds", "least"), [("gcn", range(10), 0.805), ("gcnii", range(5), 0.845)]
)
def test_published_recipes_on_cora(preset, seeds, least, planetoid, tmp_path, capsys):
    found = []
    for seed in seeds:
        folder = tmp_path / str(seed)
        words = [f"preset={preset}", f"data.path={planetoid}", "logger=none", f"seed={seed}"]
        assert main(["fit", "task=gnn", *words, f"run.dir={folder}"]) == 0
        found.append(RunFolder(folder).result()["metrics"]["test/accuracy_at_best_val"])
    assert sum(found) / len(found) >= least


@pytest.mark.slow
def test_depth_separates_plain_from_residual(tmp_path, capsys):
    def mean(connection, depth):
        found = []
        for seed in range(3):
            folder = tmp_path / f"{connection}-{depth}-{seed}"
            words = [f"connection={connection}", f"model.depth={depth}", f"seed={seed}"]
            assert main(["fit", "task=gnn", *words, "logger=none", f"run.dir={folder}"]) == 0
            found.append(RunFolder(folder).result()["metrics"]["test/accuracy"])
        return sum(found) / 3

    assert mean("residual", 16) >= 0.90
    assert mean("plain", 16) <= 0.65
    assert mean("residual", 2) > 0.85
    assert mean("plain", 2) > 0.85


def test_branches_are_digested_before_and_after_their_init_rule(tmp_path, capsys):
    drawn, zeroed = (fit(tmp_path / init, f"init={init}") for init in ("default", "zero_last"))
    assert drawn["branch_digest"] == drawn["start_digest"] == zeroed["branch_digest"]
    assert zeroed["start_digest"] != drawn["start_digest"]
